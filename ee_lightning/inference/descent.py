"""How samples go from layer to layer and leave, whatever runs the layers; importing it loads no torch."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
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

    def exit_behind(self, layer: int) -> int:
        """Return the number of the exit behind a layer, both counted from 1; below 1 where there is none."""

    def running(self) -> AbstractContextManager[object]:
        """Return a context in which a descent runs from its beginning to its end."""

    def embed(self, batch: Batch, *, is_padded: bool) -> Any:
        """Return the state before the first layer of a batch, of which some may be padding."""

    def layer(self, layer: int, state: Any) -> Any:
        """Return the state behind a layer, counted from 1."""

    def exit(self, number: int, states: Sequence[Any]) -> tuple[Array, Mapping[str, Array]]:
        """Return what an exit, counted from 1, says of some batches: logits ``[samples, classes]``, and the extras."""

    def keep(self, state: Any, kept: Places, length: int, *, is_padded: bool) -> Any:
        """Return the state of the samples at some places, ``[kept]``, and of the tokens up to a length."""

    def join(self, states: Sequence[Any], length: int, *, is_padded: bool) -> Any:
        """Return the state of several batches as one, padded to a length."""

    def rows(self, array: Array, kept: Places) -> Array:
        """Return the rows of an array at some places, ``[kept]``."""

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


class Descent:
    """Takes samples through a layer, then those that stay through the next, in batches of similar length.

    One exit judges all samples together. What decides who goes where is on the host, in numpy, and an accelerator is
    waited for at most once per layer: not where nobody can leave.

    Args:
        backend: Runs the model.
        criterion: When to leave.
        thresholds: One for each exit; infinity lets nobody leave early.
        packing: Says which samples to batch together.
        keeps_trail: Whether to return the logits of all exits that a sample passed.
    """

    def __init__(
        self,
        backend: Backend,
        criterion: Criterion,
        thresholds: Sequence[float],
        packing: Packing,
        *,
        keeps_trail: bool = False,
    ) -> None:
        self._backend, self._criterion, self._thresholds = backend, criterion, thresholds
        self._packing, self._keeps_trail = packing, keeps_trail

    def __call__(self, lengths: Places, take: Callable[[Places], Batch]) -> Predictions:
        """Predict samples of so many tokens each, ``[samples]``; `take` makes a batch of some of them.

        Raises:
            BackboneError: An exit that a sample passed has logits that are not finite.
        """
        with self._backend.running():
            departed = [*self._departing(lengths, take)]
        return _in_order(departed).each(self._backend.given)

    def _departing(self, lengths: Places, take: Callable[[Places], Batch]) -> Iterator[Departed]:
        backend, criterion = self._backend, self._criterion
        rows = np.argsort(-lengths, kind="stable")  # [samples]; longest first, as in all that follows
        cohorts = [*self._embedded(rows, lengths, take)]
        memory = criterion.start(len(rows), backend.target, backend.like.device)
        unseen, trail = list[Array](), None
        for layer in range(1, backend.num_layers + 1):
            cohorts = self._through(layer, cohorts)
            number = backend.exit_behind(layer)
            if number < 1:
                continue
            logits, extras = backend.exit(number, [cohort.state for cohort in cohorts])
            output = ExitOutput(number, backend.num_exits, logits, extras, kind=backend.target.kind)
            (score, label), memory = criterion.step(output, memory)
            unseen.append(logits)  # and fetched when somebody leaves
            if (leaves := self._leaves(number, score)) is None or not leaves.any():
                continue
            seen, labels, unseen = [*map(host, unseen)], host(label), []
            check_finite(np.concatenate(seen))
            if self._keeps_trail:
                of_late = np.stack(seen, 1)  # [samples, exits, classes]
                trail = of_late if trail is None else np.concatenate([trail, of_late], 1)
            if number == backend.num_exits:
                reached = reaches(host(score), self._thresholds[number - 1])  # [samples]
                labels = where_rows(reached, labels, host(criterion.fallback(output, memory)))  # like labels
            everything = Departed(rows, number, labels, host(score), seen[-1], trail)
            if leaves.all():
                yield everything
                return
            gone, kept = np.flatnonzero(leaves), np.flatnonzero(~leaves)  # [gone], [kept]
            yield _at(everything, gone)
            rows, trail = rows[kept], None if trail is None else trail[kept]
            memory = {name: backend.rows(array, kept) for name, array in memory.items()}
            cohorts = [*self._staying(cohorts, leaves)]

    def _embedded(self, rows: Places, lengths: Places, take: Callable[[Places], Batch]) -> Iterator[Cohort]:
        for pack in self._packing([(1, length) for length in lengths[rows].tolist()]):
            some = rows[pack.start : pack.stop]
            yield Cohort(lengths[some], self._backend.embed(take(some), is_padded=_is_padded(lengths[some])))

    def _through(self, layer: int, cohorts: list[Cohort]) -> list[Cohort]:
        if len(cohorts) == 1:  # and nothing to pack, as for a single sample
            lengths, state = cohorts.pop()
            return [Cohort(lengths, self._backend.layer(layer, state))]
        sizes = [(len(cohort.lengths), _longest(cohort.lengths)) for cohort in cohorts]
        packs, waiting, behind = self._packing(sizes), deque(cohorts), list[Cohort]()
        cohorts.clear()  # so that each batch is freed once it went through the layer
        for pack in packs:
            joined = self._joined([waiting.popleft() for _ in pack])
            behind.append(Cohort(joined.lengths, self._backend.layer(layer, joined.state)))
        return behind

    def _joined(self, cohorts: Sequence[Cohort]) -> Cohort:
        if len(cohorts) == 1:
            return cohorts[0]
        lengths = np.concatenate([each.lengths for each in cohorts])  # [batch]
        states = [each.state for each in cohorts]
        return Cohort(lengths, self._backend.join(states, _longest(lengths), is_padded=_is_padded(lengths)))

    def _leaves(self, number: int, score: Array) -> NDArray[np.bool] | None:
        """Return who leaves at an exit, ``[samples]``, or None where that is nobody whatever the scores are."""
        threshold = self._thresholds[number - 1]
        if number == self._backend.num_exits:
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
                state = self._backend.keep(cohort.state, kept, _longest(lengths), is_padded=_is_padded(lengths))
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
