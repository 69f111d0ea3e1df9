"""The protocol of training objectives."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn


class ObjectiveTerms(NamedTuple):
    """What an objective says of a batch.

    Attributes:
        loss: The scalar to minimise.
        terms: Its named parts, scalars, for the log.
    """

    loss: Tensor
    terms: dict[str, Tensor]


class Objective(nn.Module, ABC):
    """A training objective over the logits of all exits."""

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor) -> ObjectiveTerms:
        """Compute the loss.

        Args:
            logits: ``[exits, batch, classes]``.
            labels: ``[batch]``.

        Returns:
            The loss and its named parts.
        """

    def divergence(self, terms: ObjectiveTerms, logits: Tensor) -> str | None:
        """Say why the loss has run away, or None while it has not.

        Args:
            terms: What :meth:`forward` returned.
            logits: The logits it was given, ``[exits, batch, classes]``.
        """
        if torch.isfinite(terms.loss):
            return None
        return f"the loss is {terms.loss.item()}"
