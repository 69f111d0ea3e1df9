"""Samples, predictions, and how samples are put together into batches between the layers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ee_lightning.data.encoding import pad_tokens
from ee_lightning.models import check_finite_logits
from ee_lightning.models.backbones.backbone import Backbone, EncoderState


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


def pad_samples(samples: Sequence[Sample], fills: Mapping[str, int]) -> dict[str, Tensor]:
    """Return a batch of at least one sample, padded on the right to the longest.

    Args:
        samples: The samples.
        fills: What fills ``input_ids`` and ``token_type_ids``.

    Returns:
        ``input_ids``, ``attention_mask`` and ``token_type_ids``, where the samples have them, ``[batch, length]``.
    """
    columns = {"input_ids": [sample.input_ids for sample in samples]}
    if samples[0].token_type_ids is not None:
        columns["token_type_ids"] = [sample.token_type_ids or [] for sample in samples]
    return pad_tokens(columns, fills)


class Prediction(NamedTuple):
    """One of `Predictions`: what they hold of one sample."""

    label: int | float | list[bool]
    score: float
    exit_layer: int
    logits: Tensor
    trail: Tensor | None


@dataclass(frozen=True, eq=False)
class Predictions:
    """What is predicted for some samples, in their order, on the host.

    Attributes:
        labels: ``[samples]``, class numbers, or for regression values; of several labels ``[samples, labels]``, whether
            each one is there.
        scores: ``[samples]``, the criterion's where the samples left; below the threshold for those that no exit let
            leave.
        exit_layers: ``[samples]``, the number of the exit where each left, from 1.
        logits: ``[samples, classes]``, of that exit; for regression the predicted values.
        trails: Of each sample the logits of all exits up to there, ``[exit_layer, classes]``; None unless asked for.
    """

    labels: Tensor
    scores: Tensor
    exit_layers: Tensor
    logits: Tensor
    trails: Sequence[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Prediction]:
        trails = self.trails if self.trails is not None else [None] * len(self)
        columns = (self.labels.tolist(), self.scores.tolist(), self.exit_layers.tolist(), self.logits, trails)
        return (Prediction(*fields) for fields in zip(*columns, strict=True))


@dataclass(frozen=True, eq=False)
class Departed:
    """Samples that left together.

    Attributes:
        rows: Which samples these are, ``[batch]``, on the host; the other fields as in `Predictions`.
        finite: Whether the logits of all exits passed are finite, ``[batch]``.
        trail: ``[batch, exit_layer, classes]``; None unless asked for.
    """

    rows: Tensor
    exit_layer: int
    labels: Tensor
    scores: Tensor
    logits: Tensor
    finite: Tensor
    trail: Tensor | None

    def select(self, places: Tensor) -> "Departed":
        """Return those at some places, ``[selected]`` on the host."""
        there = places.to(self.logits.device, non_blocking=True)
        return Departed(
            rows=self.rows[places],  # [selected]
            exit_layer=self.exit_layer,
            labels=self.labels.index_select(0, there),  # [selected], or [selected, labels]
            scores=self.scores.index_select(0, there),  # [selected]
            logits=self.logits.index_select(0, there),  # [selected, classes]
            finite=self.finite.index_select(0, there),  # [selected]
            trail=None if self.trail is None else self.trail.index_select(0, there),  # [selected, exit_layer, classes]
        )


def in_order(departed: Sequence[Departed]) -> Predictions:
    """Return the predictions of all samples, each of which left once, in the order of their rows.

    Raises:
        BackboneError: An exit that a sample passed has logits that are not finite.
    """
    check_finite_logits(torch.cat([each.finite for each in departed]))
    rows = torch.cat([each.rows for each in departed])  # [samples]
    order = rows.argsort()  # [samples]
    exit_layers = torch.cat([torch.full((len(each.rows),), each.exit_layer) for each in departed])  # [samples]
    trails = [trail for each in departed if each.trail is not None for trail in each.trail.cpu()]
    return Predictions(
        labels=torch.cat([each.labels for each in departed]).cpu()[order],  # [samples], or [samples, labels]
        scores=torch.cat([each.scores for each in departed]).cpu()[order],  # [samples]
        exit_layers=exit_layers[order],
        logits=torch.cat([each.logits for each in departed]).cpu()[order],  # [samples, classes]
        trails=[trails[place] for place in order.tolist()] if trails else None,
    )


@dataclass(frozen=True, eq=False)
class Cohort:
    """Samples that go through a layer in one batch.

    Attributes:
        lengths: Their numbers of tokens, ``[batch]``, on the host; they stand on the left, padding on the right.
        state: Their hidden states and masks.
    """

    lengths: Tensor
    state: EncoderState

    @property
    def size(self) -> tuple[int, int]:
        """Number of samples and of tokens of the longest."""
        return len(self.lengths), self.state.hidden.shape[1]

    def keep(self, kept: Tensor, backbone: Backbone) -> "Cohort":
        """Keep the samples at some places, ``[kept]`` on the host, and of the padding only what these need."""
        lengths = self.lengths[kept]  # [kept]
        longest, there = int(lengths.max()), kept.to(self.state.hidden.device, non_blocking=True)
        hidden = self.state.hidden[:, :longest].index_select(0, there)  # [kept, longest, width]
        padding_mask = self.state.padding_mask[:, :longest].index_select(0, there)  # [kept, longest]
        return Cohort(lengths, backbone.state(hidden, padding_mask, is_padded=int(lengths.min()) < longest))


def join(cohorts: Sequence[Cohort], backbone: Backbone) -> Cohort:
    """Put cohorts at the same depth together, padded to the longest sample of all."""
    if len(cohorts) == 1:
        return cohorts[0]
    lengths = torch.cat([cohort.lengths for cohort in cohorts])  # [batch]
    longest = int(lengths.max())
    hidden = [pad(each.state.hidden, (0, 0, 0, longest - each.size[1])) for each in cohorts]
    masks = [pad(each.state.padding_mask, (0, longest - each.size[1])) for each in cohorts]
    return Cohort(
        lengths,
        backbone.state(
            torch.cat(hidden),  # [batch, longest, width]
            torch.cat(masks),  # [batch, longest]
            is_padded=int(lengths.min()) < longest,
        ),
    )


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
    def on(cls, device: torch.device, max_tokens: int | None = None) -> "Packing":
        """Return the packing for a device: a processor is busy with few tokens, an accelerator needs many."""
        most, overhead = (512, 32) if device.type == "cpu" else (32768, 2048)
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
