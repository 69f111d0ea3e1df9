"""How samples go from layer to layer and leave, whatever runs the layers; importing it loads no torch."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ee_lightning.errors import BackboneError
from ee_lightning.exits import Criterion, ExitOutput, reaches
from ee_lightning.functional import Array, Target, host, where_rows
from ee_lightning.inference.batches import Batch, Packing, Predictions

Places = NDArray[np.intp]


class Backend(Protocol):
    """Runs the parts of a model.

    What it calls a state is what flows from one layer to the next for a batch: hidden states, masks, whatever it needs.
    Samples of a batch stand longest first, and of each the tokens on the left.

    Attributes:
        target: What the exits predict.
        num_layers: Number of layers.
        num_exits: Number of exits.
        extras: The names of what the exits give besides logits.
        like: An empty array of the kind that the exits give, where they give it.
        device: The kind of device, such as ``cpu``.
    """

    target: Target
    num_layers: int
    num_exits: int
    extras: tuple[str, ...]
    like: Array
    device: str

    def exit_after(self, layer: int) -> int:
        """Return the number of the exit after a layer, both counted from 1; below 1 where there is none."""

    def running(self) -> AbstractContextManager[object]:
        """Return a context in which a descent runs from its beginning to its end."""

    def embed(self, batch: Batch, *, is_padded: bool) -> Any:
        """Return the state before the first layer of a batch, of which some may be padding."""

    def layer(self, layer: int, state: Any) -> Any:
        """Return the state after a layer, counted from 1."""

    def exit(self, number: int, states: Sequence[Any]) -> tuple[Array, Mapping[str, Array]]:
        """Return what an exit, counted from 1, says of some batches: logits ``[samples, classes]``, and the extras."""

    def keep(self, state: Any, kept: Places, length: int, *, is_padded: bool) -> Any:
        """Return the state of the samples at some places, ``[kept]``, and of the tokens up to a length."""

    def join(self, states: Sequence[Any], length: int, *, is_padded: bool) -> Any:
        """Return the state of several batches as one, padded to a length."""

    def rows(self, array: Array, kept: Places) -> Array:
        """Return the rows of an array at some places, ``[kept]``."""

    def append(self, array: Array, other: Array) -> Array:
        """Return the rows of an array, then those of another."""

    def given(self, array: NDArray[Any]) -> Array:
        """Return an array on the host as it is given to users."""


class Cohort(NamedTuple):
    """Samples that go through a layer in one batch: their numbers of tokens, ``[batch]``, and the backend's state."""

    lengths: Places
    state: Any


@dataclass(frozen=True, eq=False)
class Departed:
    """Samples that left together: which, ``[batch]``, and as in `Predictions` what is predicted for them."""

    rows: Places
    exit_layer: int
    labels: NDArray[Any]
    scores: NDArray[Any]
    logits: NDArray[Any]
    trail: NDArray[Any] | None


@dataclass(eq=False)
class Wave:
    """Samples that go down together, of which all that have not left yet went through the same layers.

    Attributes:
        rows: Which they are, ``[samples]``.
        cohorts: They, in the same order, in batches of similar length; none once all have left.
        memory: The criterion's.
        thresholds: One for each exit.
        layer: How many layers they went through.
        unseen: What exits said since anybody could leave, each ``[samples, classes]``, where the model gave it.
        trail: What exits said before, ``[samples, exits, classes]``, on the host; None where none is kept.
    """

    rows: Places
    cohorts: list[Cohort]
    memory: dict[str, Array]
    thresholds: Sequence[float]
    layer: int = 0
    unseen: list[Array] = field(default_factory=list)
    trail: NDArray[Any] | None = None


class Descent:
    """Takes samples through a layer, then those that stay through the next, in batches of similar length.

    One exit judges all samples together. What decides who goes where is on the host, in numpy, and an accelerator is
    waited for at most once per layer: not where no sample can leave.

    Args:
        backend: Runs the model.
        criterion: When to leave.
        packing: Says which samples to batch together.
        keeps_trail: Whether to return the logits of all exits that a sample passed.
    """

    def __init__(self, backend: Backend, criterion: Criterion, packing: Packing, *, keeps_trail: bool = False) -> None:
        self.backend, self._criterion = backend, criterion
        self._packing, self._keeps_trail = packing, keeps_trail

    def __call__(self, lengths: Places, take: Callable[[Places], Batch], thresholds: Sequence[float]) -> Predictions:
        """Predict samples of so many tokens each, ``[samples]``; `take` makes a batch of some of them.

        Thresholds are one for each exit; with infinity no sample leaves early.

        Raises:
            BackboneError: An exit that a sample passed has logits that are not finite.
        """
        departed = list[Departed]()
        with self.backend.running():
            wave = self.begin(lengths, take, thresholds)
            while wave.cohorts:
                departed.extend(self.advance(wave))
        return _in_order(departed).each(self.backend.given)

    def begin(
        self, lengths: Places, take: Callable[[Places], Batch], thresholds: Sequence[float], first: int = 0
    ) -> Wave:
        """Return a wave before the first layer, whose rows are numbered from `first`; other arguments as of a call.

        It goes on within the backend's ``running``, which has to be entered for this too.
        """
        rows = np.argsort(-lengths, kind="stable")  # [samples]; longest first
        cohorts = [*self._embedded(rows, lengths, take)]
        memory = self._criterion.start(len(rows), self.backend.target, self.backend.like.device)
        return Wave(rows + first, cohorts, memory, thresholds)

    def advance(self, wave: Wave) -> list[Departed]:
        """Take a wave through its next layer, and return who leaves behind it, at most one element.

        Raises:
            BackboneError: An exit that a sample passed has logits that are not finite.
        """
        backend, criterion = self.backend, self._criterion
        wave.layer += 1
        wave.cohorts = self._through(wave.layer, wave.cohorts)
        number = backend.exit_after(wave.layer)
        if number < 1:
            return []
        logits, extras = backend.exit(number, [cohort.state for cohort in wave.cohorts])
        output = ExitOutput(number, backend.num_exits, logits, extras, kind=backend.target.kind)
        (score, label), wave.memory = criterion.step(output, wave.memory)
        wave.unseen.append(logits)  # and fetched when somebody leaves
        if (leaves := self._leaves(number, score, wave.thresholds)) is None or not leaves.any():
            return []
        last, labels = self._seen(wave), host(label)
        if number == backend.num_exits:
            reached = reaches(host(score), wave.thresholds[number - 1])  # [samples]
            labels = where_rows(reached, labels, host(criterion.fallback(output, wave.memory)))  # like labels
        everything = Departed(wave.rows, number, labels, host(score), last, wave.trail)
        if leaves.all():
            wave.rows, wave.cohorts = wave.rows[:0], []
            return [everything]
        gone, kept = np.flatnonzero(leaves), np.flatnonzero(~leaves)  # [gone], [kept]
        wave.cohorts = [*self._staying(wave.cohorts, leaves)]
        self._reorder(wave, kept)
        return [_at(everything, gone)]

    def join(self, first: Wave, second: Wave) -> Wave:
        """Return two waves as one, that went through the same layers and have the same thresholds.

        Raises:
            ValueError: They have not.
        """
        if (first.layer, first.thresholds) != (second.layer, second.thresholds):
            raise ValueError(f"Expected waves after the same layer, but got {first.layer} and {second.layer}.")
        for wave in (first, second):
            if wave.unseen:
                self._seen(wave)
        trails = [wave.trail for wave in (first, second) if wave.trail is not None]
        joined = Wave(
            np.concatenate([first.rows, second.rows]),
            [*first.cohorts, *second.cohorts],
            {name: self.backend.append(array, second.memory[name]) for name, array in first.memory.items()},
            first.thresholds,
            first.layer,
            trail=np.concatenate(trails) if trails else None,
        )
        longest = [_longest(cohort.lengths) for cohort in joined.cohorts]
        order = np.argsort(-np.array(longest), kind="stable")  # [cohorts]; longest first, as packing wants them
        starts = np.cumsum([0, *(len(cohort.lengths) for cohort in joined.cohorts)])
        joined.cohorts = [joined.cohorts[place] for place in order]
        self._reorder(joined, np.concatenate([np.arange(starts[place], starts[place + 1]) for place in order]))
        return joined

    def _reorder(self, wave: Wave, places: Places) -> None:
        """Keep what is known of the samples at some places, ``[kept]``, but for their cohorts."""
        wave.rows = wave.rows[places]
        wave.trail = None if wave.trail is None else wave.trail[places]
        wave.memory = {name: self.backend.rows(array, places) for name, array in wave.memory.items()}

    def _seen(self, wave: Wave) -> NDArray[Any]:
        """Fetch what exits said, into the trail if there is one, and return what the last said, [samples, classes]."""
        seen, wave.unseen = [*map(host, wave.unseen)], []
        check_finite(np.concatenate(seen))
        if self._keeps_trail:
            of_late = np.stack(seen, 1)  # [samples, exits, classes]
            wave.trail = of_late if wave.trail is None else np.concatenate([wave.trail, of_late], 1)
        return seen[-1]  # type: ignore[no-any-return]

    def _embedded(self, rows: Places, lengths: Places, take: Callable[[Places], Batch]) -> Iterator[Cohort]:
        for pack in self._packing([(1, length) for length in lengths[rows].tolist()]):
            some = rows[pack.start : pack.stop]
            yield Cohort(lengths[some], self.backend.embed(take(some), is_padded=_is_padded(lengths[some])))

    def _through(self, layer: int, cohorts: list[Cohort]) -> list[Cohort]:
        if len(cohorts) == 1:  # and nothing to pack, as for a single sample
            lengths, state = cohorts.pop()
            return [Cohort(lengths, self.backend.layer(layer, state))]
        sizes = [(len(cohort.lengths), _longest(cohort.lengths)) for cohort in cohorts]
        packs, waiting, behind = self._packing(sizes), deque(cohorts), list[Cohort]()
        cohorts.clear()  # so that each batch is freed once it went through the layer
        for pack in packs:
            joined = self._joined([waiting.popleft() for _ in pack])
            behind.append(Cohort(joined.lengths, self.backend.layer(layer, joined.state)))
        return behind

    def _joined(self, cohorts: Sequence[Cohort]) -> Cohort:
        if len(cohorts) == 1:
            return cohorts[0]
        lengths = np.concatenate([each.lengths for each in cohorts])  # [batch]
        states = [each.state for each in cohorts]
        return Cohort(lengths, self.backend.join(states, _longest(lengths), is_padded=_is_padded(lengths)))

    def _leaves(self, number: int, score: Array, thresholds: Sequence[float]) -> NDArray[np.bool] | None:
        """Return who leaves at an exit, ``[samples]``, or None where that is none whatever the scores are."""
        threshold = thresholds[number - 1]
        if number == self.backend.num_exits:
            return np.ones(len(score), dtype=bool)
        if threshold == inf or self._criterion.highest_score(number) < threshold:
            return None
        leaves: Any = reaches(host(score), threshold)
        return leaves  # type: ignore[no-any-return]

    def _staying(self, cohorts: Sequence[Cohort], leaves: NDArray[np.bool]) -> Iterator[Cohort]:
        """Yield the cohorts without who leaves, ``[samples]``."""
        start = 0
        for cohort in cohorts:
            stays = ~leaves[start : start + len(cohort.lengths)]  # [batch]
            start += len(stays)
            if stays.all():
                yield cohort
            elif stays.any():
                kept = np.flatnonzero(stays)  # [kept]
                lengths = cohort.lengths[kept]  # [kept]
                state = self.backend.keep(cohort.state, kept, _longest(lengths), is_padded=_is_padded(lengths))
                yield Cohort(lengths, state)


def check_finite(logits: NDArray[Any]) -> None:
    """Raise a BackboneError unless all logits are finite."""
    if not np.isfinite(logits).all():
        raise BackboneError(
            "the logits are not finite, so there is nothing to predict",
            where="the model's exits",
            hint="check the weights for NaN and huge values, and try precision fp32 if it is bf16",
        )


def _longest(lengths: Places) -> int:
    return int(lengths[0]) if len(lengths) == 1 else int(lengths.max())


def _is_padded(lengths: Places) -> bool:
    """Return whether some of a batch are shorter than others."""
    return len(lengths) > 1 and bool(lengths.min() < lengths.max())


def _at(departed: Departed, places: Places) -> Departed:
    trail = None if departed.trail is None else departed.trail[places]
    return Departed(
        departed.rows[places],
        departed.exit_layer,
        departed.labels[places],
        departed.scores[places],
        departed.logits[places],
        trail,
    )


def _in_order(departed: Sequence[Departed]) -> Predictions:
    """Return the predictions of all samples, each of which left once, in the order of their rows."""
    rows = np.concatenate([each.rows for each in departed])  # [samples]
    order = rows.argsort()  # [samples]
    left_at: Any = np.repeat([each.exit_layer for each in departed], [len(each.rows) for each in departed])  # [samples]
    trails = [trail for each in departed if each.trail is not None for trail in each.trail]

    def all_of(name: str) -> Any:
        return np.concatenate([getattr(each, name) for each in departed])[order]  # [samples, ...]

    in_order: Any = [trails[place] for place in order] if trails else None
    return Predictions(all_of("labels"), all_of("scores"), left_at[order], all_of("logits"), in_order)
