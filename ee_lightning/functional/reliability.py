"""How well confidences agree with how often predictions are right."""

from typing import NamedTuple

import torch
from torch import Tensor


class Reliability(NamedTuple):
    """Confidences and accuracies by bins of equal width.

    Attributes:
        counts: Number of samples, in int64, of shape [bins].
        confidences: Their mean confidence, NaN in an empty bin, of shape [bins].
        accuracies: The share of them that is right, NaN in an empty bin, of shape [bins].
    """

    counts: Tensor
    confidences: Tensor
    accuracies: Tensor

    @property
    def error(self) -> float:
        """The expected calibration error (Guo et al. 2017): the mean distance of the two over all samples."""
        distances = (self.confidences - self.accuracies).abs().nan_to_num()  # [bins]
        return (self.counts * distances).sum().item() / max(1, int(self.counts.sum()))


def reliability(confidences: Tensor, right: Tensor, bins: int = 10) -> Reliability:
    """Group samples by confidence, from 0 to 1; both are of shape [samples], `right` in bool.

    Example:
        >>> found = reliability(torch.tensor([0.9, 0.8, 0.6]), torch.tensor([True, True, False]), bins=2)
        >>> found.counts.tolist(), round(found.error, 3)
        ([0, 3], 0.1)
    """
    place = (confidences.double() * bins).long().clamp(0, bins - 1)  # [samples]
    counts = place.bincount(minlength=bins)  # [bins]
    sums = [torch.bincount(place, weights=each.double(), minlength=bins) for each in (confidences, right)]
    return Reliability(counts, *(each / counts for each in sums))
