"""Samples that go through the layers side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ee_lightning.models import Backbone, EncoderState


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
        """Keep some samples, and of the padding only what these need.

        Args:
            kept: Their places in the cohort, ``[kept]``, at least one, on the host.
            backbone: The encoder that the states are of.
        """
        lengths = self.lengths[kept]  # [kept]
        longest, there = int(lengths.max()), kept.to(self.state.hidden.device, non_blocking=True)
        hidden = self.state.hidden[:, :longest].index_select(0, there)  # [kept, longest, width]
        padding_mask = self.state.padding_mask[:, :longest].index_select(0, there)  # [kept, longest]
        return Cohort(lengths, backbone.state(hidden, padding_mask, is_padded=int(lengths.min()) < longest))


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
        lengths,
        backbone.state(
            torch.cat(hidden),  # [batch, longest, width]
            torch.cat(masks),  # [batch, longest]
            is_padded=int(lengths.min()) < longest,
        ),
    )
