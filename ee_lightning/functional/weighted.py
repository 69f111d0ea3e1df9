"""Scores of many data sets at once that hold the same samples, each so many times."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ee_lightning.functional.metrics import CLASSIFICATION_METRICS, classification_counts
from ee_lightning.functional.multi_label_metrics import MULTI_LABEL_METRICS, label_counts, label_sizes
from ee_lightning.functional.regression import REGRESSION_METRICS, label_moments, regression_moments


def weighted_scores(predictions: Tensor, labels: Tensor, weights: Tensor, metric: str, num_classes: int) -> Tensor:
    """Score data sets that are made of the same distinct samples.

    Args:
        predictions: Predicted class numbers, or values for regression, of shape [distinct]; or whether each label is
            predicted, of shape [distinct, labels].
        labels: True ones, of the same shape.
        weights: How often each data set has each sample, of shape [data sets, distinct].
        metric: A key of `CLASSIFICATION_METRICS`, for regression of `REGRESSION_METRICS`, for labels of
            `MULTI_LABEL_METRICS`.
        num_classes: Number of classes or labels; 1 for regression.

    Returns:
        The scores, in float64, of shape [data sets].

    Raises:
        ValueError: The metric does not suit the number of classes.

    Example:
        >>> weighted_scores(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([[3, 1], [0, 2]]), "accuracy", 2)
        tensor([0.7500, 0.0000], dtype=torch.float64)
    """
    weights = weights.double()  # whole numbers, which matmul takes only in floating point
    if labels.ndim == 2:
        counts = weights @ label_counts(predictions, labels).double()  # [data sets, 2 * labels + 1]
        sizes = weights @ label_sizes(labels).double()  # [data sets, labels + 1]
        return torch.vmap(MULTI_LABEL_METRICS[metric])(counts, sizes)  # [data sets]
    if num_classes == 1:
        predicted, true = (values.double() - values.double().nanmedian() for values in (predictions, labels))
        sums = weights @ regression_moments(predicted, true)  # [data sets, 3]
        actual = weights @ torch.vmap(lambda label: label_moments(label.unsqueeze(0)))(true)  # [data sets, 3]
        return torch.vmap(REGRESSION_METRICS[metric])(sums, actual)  # [data sets]
    counts = weights @ classification_counts(predictions, labels, num_classes).double()  # [data sets, 2 * classes]
    actual = weights @ one_hot(labels, num_classes).double()  # [data sets, classes]
    return torch.vmap(CLASSIFICATION_METRICS[metric])(counts, actual)  # [data sets]
