"""Samples that are at the same depth of the model, and go on together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from ee_lightning.exits.criterion import State
from ee_lightning.models import Backbone, EncoderState


@dataclass(frozen=True, eq=False)
class Cohort:
    """Samples that are at the same depth of the model.

    Attributes:
        rows: Which samples these are, ``[batch]``, on the host.
        lengths: Their numbers of tokens, ``[batch]``, on the host; they stand on the left, padding on the right.
        state: Their hidden states and masks.
        memory: What the criterion remembers of them.
    """

    rows: Tensor
    lengths: Tensor
    state: EncoderState
    memory: State

    @property
    def size(self) -> tuple[int, int]:
        """Number of samples and of tokens of the longest."""
        return len(self.rows), self.state.hidden.shape[1]

    def keep(self, kept: Tensor, backbone: Backbone) -> "Cohort":
        """Keep some samples, and of the padding only what these need.

        Args:
            kept: Their places in the cohort, ``[kept]``, on the host.
            backbone: The encoder that the states are of.
        """
        lengths = self.lengths[kept]  # [kept]
        longest, device = int(lengths.max()), self.state.hidden.device
        there = kept.to(device, non_blocking=True)
        hidden = self.state.hidden[:, :longest].index_select(0, there)  # [kept, longest, width]
        padding_mask = self.state.padding_mask[:, :longest].index_select(0, there)  # [kept, longest]
        return Cohort(
            rows=self.rows[kept],
            lengths=lengths,
            state=backbone.state(hidden, padding_mask, is_padded=int(lengths.min()) < longest),
            memory={name: tensor.index_select(0, there) for name, tensor in self.memory.items()},
        )

    def with_state(self, state: EncoderState) -> "Cohort":
        """Give the same samples with other hidden states."""
        return replace(self, state=state)


def join(cohorts: Sequence[Cohort], backbone: Backbone) -> Cohort:
    """Put cohorts at the same depth together, padded to the longest sample of all.

    Args:
        cohorts: At least one.
        backbone: The encoder that their states are of.
    """
    if len(cohorts) == 1:
        return cohorts[0]
    lengths = torch.cat([cohort.lengths for cohort in cohorts])  # [batch]
    longest = int(lengths.max())
    hidden = [pad(each.state.hidden, (0, 0, 0, longest - each.size[1])) for each in cohorts]
    masks = [pad(each.state.padding_mask, (0, longest - each.size[1])) for each in cohorts]
    return Cohort(
        rows=torch.cat([cohort.rows for cohort in cohorts]),  # [batch]
        lengths=lengths,
        state=backbone.state(
            torch.cat(hidden),  # [batch, longest, width]
            torch.cat(masks),  # [batch, longest]
            is_padded=int(lengths.min()) < longest,
        ),
        memory={name: torch.cat([cohort.memory[name] for cohort in cohorts]) for name in cohorts[0].memory},
    )


def packs(sizes: Sequence[tuple[int, int]], *, max_tokens: int, slack: int) -> list[range]:
    """Say which neighbours to put together, so that batches are full and little of them is padding.

    Args:
        sizes: Number of samples and of tokens of the longest, of what is to be put together, longest first.
        max_tokens: The most tokens that a batch may have, padding included; what is larger alone stays alone.
        slack: The most tokens of padding that putting together may add to a batch.

    Returns:
        Neighbours to put together, which cover all of them in their order.

    Example:
        >>> packs([(1, 9), (1, 8), (1, 3), (4, 2), (1, 2)], max_tokens=20, slack=2)
        [range(0, 2), range(2, 3), range(3, 5)]
    """
    ranges: list[range] = []
    start = samples = tokens = 0
    for place, (count, length) in enumerate(sizes):
        together = (samples + count) * sizes[start][1]
        if place > start and (together > max_tokens or together - tokens - count * length > slack):
            ranges.append(range(start, place))
            start, samples, tokens = place, 0, 0
        samples, tokens = samples + count, tokens + count * length
    return [*ranges, range(start, len(sizes))] if sizes else []
