"""What one exit says of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ee_lightning.functional import Kind, absent_or_there, predictions_of

LEAST_LOG_PROBABILITY = -1e30
"""Stands for the logarithm of 0, so that its product with 0 and its sums over exits are finite."""


@dataclass(frozen=True, eq=False)
class ExitOutput:
    """What one exit says of a batch.

    Attributes:
        exit_layer: The number of the exit, from 1.
        num_exits: Number of exits M.
        logits: Of shape [batch, classes]; for regression the predicted values, of shape [batch, 1]; of several labels a
            sample of shape [batch, labels].
        extras: What else the exit gives, such as a gate's scores, each of shape [batch].
        labels: True class numbers, of shape [batch], or whether each label is there, of shape [batch, labels]; only the
            oracle reads them.
        multi_label: Whether every logit is of a label for itself.
    """

    exit_layer: int
    num_exits: int
    logits: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    labels: Tensor | None = None
    multi_label: bool = False

    @property
    def kind(self) -> Kind:
        """What the exit predicts of a sample."""
        return Kind.of(self.logits.shape[-1], multi_label=self.multi_label)

    @property
    def predictions(self) -> Tensor:
        """The most likely classes, or for regression the values in float32, of shape [batch].

        Of several labels whether each is more likely there than not, of shape [batch, labels].
        """
        return predictions_of(self.logits, self.kind)

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of the classes in float32, of shape [batch, classes].

        Of several labels those of each one's being absent or there, of shape [batch, labels, 2].
        """
        return self._logits_of_classes.softmax(-1, dtype=torch.float32)

    @property
    def log_probabilities(self) -> Tensor:
        """The natural logarithms of the probabilities, finite, in float32, of the same shape."""
        return self._logits_of_classes.log_softmax(-1, dtype=torch.float32).clamp_min(LEAST_LOG_PROBABILITY)

    @property
    def _logits_of_classes(self) -> Tensor:
        return absent_or_there(self.logits) if self.multi_label else self.logits
