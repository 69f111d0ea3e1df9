"""Rows of many clients on their way through one model: who leaves is given back at once, who comes may join."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from ee_lightning.exits.placement import Layers
from ee_lightning.inference.batches import Packing, Predictions, Sample
from ee_lightning.inference.descent import Departed, Wave
from ee_lightning.inference.schedule import Engine

Ticket = TypeVar("Ticket")


class Load(NamedTuple):
    """How many rows there are, and their tokens together."""

    rows: int
    tokens: int


def joining_pays(going: Load, coming: Load, layer: int, left: float, packing: Packing) -> bool:
    """Return whether rows on their way should wait for new ones, to go through the layers that are left in one batch.

    A layer takes ``overhead + tokens`` of a batch, in tokens. Joined, the machine saves the overhead of all layers that
    are left, and each new row is answered that much earlier; each row on its way is answered later by all that is done
    for the new ones. It pays where the sum over rows falls. This is the rule of DREX (arXiv 2512.15705), by which rows
    part only where that saves more than it costs, for rows that meet.

    Args:
        going: The rows on their way, in one batch.
        coming: The new ones.
        layer: How many layers the first went through, which the new ones have to catch up.
        left: How many more layers they are expected to go through.
        packing: Says what a batch costs, and how much goes into one.

    Example:
        >>> few, many = Load(1, 30), Load(8, 200)
        >>> joining_pays(few, many, 2, 6, Packing.on("cpu")), joining_pays(few, many, 2, 6, Packing.on("cuda"))
        (False, True)
    """
    if going.tokens + coming.tokens > packing.max_tokens:
        return False
    saved = coming.rows * left * packing.overhead
    return saved > going.rows * (layer * (packing.overhead + coming.tokens) + left * coming.tokens)


class Flow(Generic[Ticket]):
    """Takes rows of one model down, wave by wave, the deepest last.

    A new wave starts when the one before has left, or catches up with it and joins it where `joining_pays`. A row that
    is alone goes the engine's way for single rows, if there is one.

    Args:
        engine: Runs the model.
        layers_of_exits: The layer after which each exit stands.
        joins: Whether new rows may join.
    """

    def __init__(self, engine: Engine, layers_of_exits: Layers, *, joins: bool = True) -> None:
        self._engine, self._layers, self._joins = engine, np.array(layers_of_exits), joins
        self._waves = list[Wave]()  # the deepest first; each waits for the next
        self._tickets = dict[int, Ticket]()
        self._number = 0
        self._left_at = np.zeros(len(layers_of_exits), dtype=np.int64)  # [exits]
        self._running = ExitStack()

    @property
    def is_empty(self) -> bool:
        """Whether nobody is on the way."""
        return not self._waves

    def takes(self, samples: Sequence[Sample]) -> bool:
        """Return whether new samples should start now."""
        if not self._waves:
            return True
        wave = self._waves[-1]
        is_same = wave.thresholds == self._engine.thresholds
        return (
            self._joins
            and is_same
            and joining_pays(
                _load([length for cohort in wave.cohorts for length in cohort.lengths.tolist()]),
                _load([len(sample.input_ids) for sample in samples]),
                wave.layer,
                self._expected(wave.layer),
                self._engine.packing,
            )
        )

    def start(self, samples: Sequence[Sample], tickets: Sequence[Ticket]) -> Iterator[tuple[list[Ticket], Predictions]]:
        """Let samples start, each with a ticket; a row that was alone is given back at once, as of `step`."""
        first, self._number = self._number, self._number + len(samples)
        self._tickets |= dict(enumerate(tickets, first))
        if len(samples) == 1 and not self._waves and (alone := self._engine.alone(samples[0])) is not None:
            self._left_at[alone.exit_layers.tolist()[0] - 1] += 1
            yield [self._tickets.pop(first)], alone
            return
        if not self._waves:
            self._running.enter_context(self._engine.descent.backend.running())
        self._waves.append(self._engine.begin(samples, first))

    def step(self) -> Iterator[tuple[list[Ticket], Predictions]]:
        """Take the last wave through a layer, and give back who leaves: tickets and what is predicted."""
        descent, wave = self._engine.descent, self._waves[-1]
        departed = descent.advance(wave)
        if not wave.cohorts:
            self._waves.pop()
        elif len(self._waves) > 1 and self._waves[-2].layer == wave.layer:
            self._waves[-2:] = [descent.join(self._waves[-2], wave)]
        if not self._waves:
            self._running.close()
        for gone in departed:
            self._left_at[gone.exit_layer - 1] += len(gone.rows)
            yield [self._tickets.pop(row) for row in gone.rows.tolist()], self._predictions(gone)

    def clear(self) -> list[Ticket]:
        """Give up all who are on the way, and return their tickets."""
        given_up = [*self._tickets.values()]
        self._tickets, self._waves = {}, []
        self._running.close()
        return given_up

    @staticmethod
    def _predictions(gone: Departed) -> Predictions:
        left_at = np.full(len(gone.rows), gone.exit_layer)
        trails = None if gone.trail is None else [*gone.trail]
        return Predictions(gone.labels, gone.scores, left_at, gone.logits, trails)  # type: ignore[arg-type]

    def _expected(self, layer: int) -> float:
        """Return how many more layers rows took that came this deep."""
        deeper = self._layers > layer  # [exits]
        counts = self._left_at[deeper]
        if not counts.any():
            return float(self._layers[-1] - layer)
        return float(counts @ (self._layers[deeper] - layer) / counts.sum())


def _load(lengths: Sequence[int]) -> Load:
    return Load(len(lengths), sum(lengths))
