"""Percentile intervals by resampling, and scores of many weighted data sets at once."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ee_lightning.functional.kind import Kind, Target
from ee_lightning.functional.metrics import counting_of


class Resamples(NamedTuple):
    """Bootstrap samples, described by how often each distinct outcome occurs in them.

    Attributes:
        outcomes: The distinct outcomes, of shape [distinct, columns].
        counts: How often each occurs in the data, in int64, of shape [distinct].
        draws: How often each occurs in every resample, in int64, of shape [resamples, distinct].
    """

    outcomes: Tensor
    counts: Tensor
    draws: Tensor

    @property
    def weights(self) -> Tensor:
        """How often each occurs in the data, and then in every resample, of shape [1 + resamples, distinct]."""
        return torch.cat([self.counts.unsqueeze(0), self.draws])


def resample(outcomes: Tensor, resamples: int, seed: int) -> Resamples:
    """Draw bootstrap samples (Efron 1979): each as large as the data, from the data, with replacement.

    Drawing samples is the same as drawing how often each distinct outcome occurs, which is multinomial. What is paired
    within a sample stays paired if both parts are columns of its outcome. `outcomes` are of shape [samples, columns]; a
    statistic that sums over samples is ``draws @ statistic(outcomes)``.

    Example:
        >>> drawn = resample(torch.tensor([[1], [0], [1], [1]]), resamples=2, seed=0)
        >>> drawn.outcomes.squeeze(-1), drawn.counts, drawn.draws.sum(1)
        (tensor([0, 1]), tensor([1, 3]), tensor([4, 4]))
    """
    distinct, counts = torch.unique(outcomes, dim=0, return_counts=True)  # [distinct, columns], [distinct]
    shares = counts.double().numpy() / len(outcomes)
    draws = np.random.default_rng(seed).multinomial(len(outcomes), shares, size=resamples)  # [resamples, distinct]
    return Resamples(distinct, counts, torch.from_numpy(draws))


def percentile_interval(values: Tensor, level: float) -> tuple[float, float]:
    """Return the ends of the interval that holds a share `level` of the values [resamples] (Efron 1979).

    Example:
        >>> percentile_interval(torch.arange(101.0), 0.5)
        (25.0, 75.0)
    """
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)  # [2]
    low, high = values.double().quantile(tails).tolist()
    return low, high


def weighted_scores(predictions: Tensor, labels: Tensor, weights: Tensor, metric: str, num_classes: int) -> Tensor:
    """Score data sets that are made of the same distinct samples.

    Args:
        predictions: Predicted class numbers, or values for regression, of shape [distinct]; or whether each label is
            predicted, of shape [distinct, labels].
        labels: True ones, of the same shape.
        weights: How often each data set has each sample, of shape [data sets, distinct].
        metric: One of the task's metrics; see `counting_of`.
        num_classes: Number of classes or labels; 1 for regression.

    Returns:
        The scores, in float64, of shape [data sets].

    Raises:
        ValueError: The metric does not suit the number of classes.

    Example:
        >>> weighted_scores(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([[3, 1], [0, 2]]), "accuracy", 2)
        tensor([0.7500, 0.0000], dtype=torch.float64)
    """
    target = Target.of(num_classes, multi_label=labels.ndim == 2)
    if target.kind is Kind.REGRESSION:
        predictions, labels = (values.double() - values.double().nanmedian() for values in (predictions, labels))
    counting = counting_of(target)
    weights = weights.double()  # whole numbers, which matmul takes only in floating point
    sums = weights @ counting.tally(predictions, labels).double(), weights @ counting.tally_actual(labels).double()
    return torch.vmap(counting.metric(metric))(*sums)  # [data sets]
