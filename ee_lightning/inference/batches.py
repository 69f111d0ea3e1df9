"""Samples, what is predicted for them, and which of them go through a layer together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ee_lightning.functional import Array

Batch = Mapping[str, Array]
"""``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``, each ``[batch, length]``, padded on the right."""


class Sample(NamedTuple):
    """A tokenised sample.

    Attributes:
        input_ids: Its token ids, special ones included.
        token_type_ids: The sentence of each token where the family knows them; None elsewhere.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None = None


def samples_of(columns: Mapping[str, Sequence[Any]]) -> list[Sample]:
    """Return samples of the columns ``input_ids`` and, where they are there, ``token_type_ids``, one a row."""
    input_ids = columns["input_ids"]
    token_type_ids = columns.get("token_type_ids", [None] * len(input_ids))
    return [Sample(*fields) for fields in zip(input_ids, token_type_ids, strict=True)]


def pad_samples(samples: Sequence[Sample], fills: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """Return a batch of at least one sample, padded on the right to the longest.

    Args:
        samples: The samples.
        fills: What fills ``input_ids`` and ``token_type_ids``.

    Returns:
        ``input_ids``, ``attention_mask`` and ``token_type_ids``, where the samples have them, ``[batch, length]``.

    Example:
        >>> pad_samples([Sample([5, 6]), Sample([7])], {"input_ids": 0})["input_ids"].tolist()
        [[5, 6], [7, 0]]
    """
    lengths = [len(sample.input_ids) for sample in samples]
    longest = max(lengths)

    def padded(rows: Sequence[Sequence[int]], fill: int) -> NDArray[np.int64]:
        return np.array([[*row, *[fill] * (longest - len(row))] for row in rows], dtype=np.int64)  # [batch, length]

    batch = {
        "input_ids": padded([sample.input_ids for sample in samples], fills["input_ids"]),
        "attention_mask": padded([[1] * length for length in lengths], 0),
    }
    if samples[0].token_type_ids is not None:
        types = [sample.token_type_ids or [] for sample in samples]
        batch["token_type_ids"] = padded(types, fills["token_type_ids"])
    return batch


class Prediction(NamedTuple):
    """One of `Predictions`: what they hold of one sample."""

    label: int | float | list[bool]
    score: float
    exit_layer: int
    logits: Array
    trail: Array | None


@dataclass(frozen=True, eq=False)
class Predictions:
    """What is predicted for some samples, in their order, on the host: arrays of numpy, or an engine's tensors.

    Attributes:
        labels: ``[samples]``, class numbers, or for regression values; of several labels ``[samples, labels]``, whether
            each one is there.
        scores: ``[samples]``, the criterion's where the samples left; below the threshold for those that no exit let
            leave.
        exit_layers: ``[samples]``, the number of the exit where each left, from 1.
        logits: ``[samples, classes]``, of that exit; for regression the predicted values.
        trails: Of each sample the logits of all exits up to there, ``[exit_layer, classes]``; None unless asked for.
    """

    labels: Array
    scores: Array
    exit_layers: Array
    logits: Array
    trails: Sequence[Array] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def each(self, make: Callable[[Any], Array]) -> Self:
        """Return the same in arrays that are made of these."""
        fields = {name: make(getattr(self, name)) for name in ("labels", "scores", "exit_layers", "logits")}
        return replace(self, **fields, trails=None if self.trails is None else [*map(make, self.trails)])

    def __iter__(self) -> Iterator[Prediction]:
        trails = self.trails if self.trails is not None else [None] * len(self)
        columns = (self.labels.tolist(), self.scores.tolist(), self.exit_layers.tolist(), self.logits, trails)
        return (Prediction(*fields) for fields in zip(*columns, strict=True))


@dataclass(frozen=True)
class Packing:
    """Chooses which neighbours to batch together, so that a layer costs the least.

    Attributes:
        max_tokens: The most tokens that a batch may have, padding included; a single larger one stays alone.
        overhead: The cost of a batch besides its tokens, in tokens: this much padding is worth one batch less.
    """

    max_tokens: int
    overhead: int

    @classmethod
    def on(cls, device: str, max_tokens: int | None = None) -> "Packing":
        """Return the packing for a kind of device: a processor is busy with few tokens, an accelerator needs many."""
        most, overhead = (512, 32) if device == "cpu" else (32768, 2048)
        return cls(max_tokens or most, overhead)

    def __call__(self, sizes: Sequence[tuple[int, int]]) -> list[range]:
        """Return the neighbours to batch together, as ranges that cover all of them in their order.

        Neighbours of equal length stay together as far as a batch can hold them. Of all ways to join these blocks, the
        one with the fewest tokens is found, padding and overheads included.

        Args:
            sizes: Number of samples and of tokens of the longest, of what is to be put together, longest first.

        Example:
            >>> Packing(max_tokens=20, overhead=3)([(1, 9), (1, 8), (1, 3), (4, 2), (1, 2)])
            [range(0, 2), range(2, 3), range(3, 5)]
        """
        if len(sizes) < 2:
            return [range(len(sizes))] if sizes else []
        blocks = self._of_equal_length(sizes)
        least, first = [0.0], [0]  # the cost of the blocks before each place, and where the last batch of them begins
        for stop in range(1, len(blocks) + 1):
            cost, begin, samples = inf, stop, 0
            for start in reversed(range(stop)):
                samples += blocks[start][1]
                tokens = samples * blocks[start][2]
                if tokens > self.max_tokens and begin < stop:
                    break
                if least[start] + self.overhead + tokens < cost:
                    cost, begin = least[start] + self.overhead + tokens, start
            least.append(cost)
            first.append(begin)
        packs, stop = [], len(blocks)
        while stop:
            packs.append(range(blocks[first[stop]][0].start, blocks[stop - 1][0].stop))
            stop = first[stop]
        return packs[::-1]

    def _of_equal_length(self, sizes: Sequence[tuple[int, int]]) -> list[tuple[range, int, int]]:
        """Return ranges of equal length that go into a batch, with their numbers of samples and of tokens."""
        blocks: list[tuple[range, int, int]] = []
        place = 0
        for length, group in groupby(sizes, key=lambda size: size[1]):
            start, samples = place, 0
            for count, _ in group:
                if place > start and (samples + count) * length > self.max_tokens:
                    blocks.append((range(start, place), samples, length))
                    start, samples = place, 0
                place, samples = place + 1, samples + count
            blocks.append((range(start, place), samples, length))
        return blocks
