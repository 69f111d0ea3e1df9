"""What one exit says of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

LEAST_LOG_PROBABILITY = -1e30
"""Stands for the logarithm of 0, so that its product with 0 and its sums over exits are finite."""


@dataclass(frozen=True, eq=False)
class ExitOutput:
    """What one exit says of a batch.

    Attributes:
        exit_layer: The number of the exit, from 1.
        num_exits: Number of exits M.
        logits: Of shape [batch, classes]; for regression the predicted values, of shape [batch, 1].
        extras: What else the exit gives, such as a gate's scores, each of shape [batch].
        labels: True class numbers, of shape [batch]; only the oracle reads them.
    """

    exit_layer: int
    num_exits: int
    logits: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    labels: Tensor | None = None

    @property
    def is_regression(self) -> bool:
        """Whether the exit predicts a value and no class: its logits have one column."""
        return self.logits.shape[-1] == 1

    @property
    def predictions(self) -> Tensor:
        """The most likely classes, or for regression the values in float32, of shape [batch]."""
        return self.logits.squeeze(-1).float() if self.is_regression else self.logits.argmax(-1)

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of the classes in float32, of shape [batch, classes]."""
        return self.logits.softmax(-1, dtype=torch.float32)

    @property
    def log_probabilities(self) -> Tensor:
        """The natural logarithms of the probabilities, finite, in float32, of shape [batch, classes]."""
        return self.logits.log_softmax(-1, dtype=torch.float32).clamp_min(LEAST_LOG_PROBABILITY)
