"""Metrics of several labels a sample, from counts that add up over samples, so that they can be carried along a curve.

The counts of L labels are 2L + 1 integers: first the true positives of each label, then how often it was predicted,
then the samples whose labels are all right. How often a label occurs, and the number of samples, are the same at every
point of a curve and are passed apart, as `actual`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def label_counts(predictions: Tensor, labels: Tensor) -> Tensor:
    """Count one sample at a time; the sum over samples is what the metrics of labels take.

    Args:
        predictions: Whether each of L labels is predicted, of shape [..., labels].
        labels: Whether it is there, of shape [..., labels].

    Returns:
        Integers, of shape [..., 2 * labels + 1]: the true positives of each label, how often it was predicted, and
        whether all labels are right.

    Example:
        >>> label_counts(torch.tensor([[True, True], [False, True]]), torch.tensor([[1, 0], [0, 1]]))
        tensor([[1, 0, 1, 1, 0],
                [0, 1, 0, 1, 1]])
    """
    predicted, true = predictions.bool(), labels.bool()
    is_exact = (predicted == true).all(-1, keepdim=True)  # [..., 1]
    return torch.cat([predicted & true, predicted, is_exact], dim=-1).long()  # [..., 2 * labels + 1]


def label_sizes(labels: Tensor) -> Tensor:
    """Count how often each label occurs, and the samples.

    Args:
        labels: Whether each label is there, of shape [..., labels].

    Returns:
        Integers, one sample's at a time, of shape [..., labels + 1].

    Example:
        >>> label_sizes(torch.tensor([[1, 0], [1, 1]])).sum(0)
        tensor([2, 1, 2])
    """
    true = labels.long()
    return torch.cat([true, torch.ones_like(true[..., :1])], dim=-1)  # [..., labels + 1]


def micro_f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Give the F1 score of all decisions on labels together, and 0 where no label occurs or is predicted.

    Args:
        counts: Summed `label_counts`, of shape [..., 2 * labels + 1].
        actual: Summed `label_sizes`, of shape [labels + 1].

    Returns:
        F1 scores in float64, of shape [...].

    Example:
        >>> micro_f1(torch.tensor([2, 1, 2, 3, 1]), torch.tensor([3, 1, 4]))
        tensor(0.6667, dtype=torch.float64)
    """
    right, predicted, true = _split(counts, actual)
    return _ratio(2 * right.sum(-1), predicted.sum(-1) + true.sum(-1))


def macro_f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Give the mean of the labels' F1 scores, that of a label that neither occurs nor is predicted being 0.

    So torchmetrics and scikit-learn have it for labels. (Of classes, those that don't appear are left out of the mean.)

    Args:
        counts: Summed `label_counts`, of shape [..., 2 * labels + 1].
        actual: Summed `label_sizes`, of shape [labels + 1].

    Returns:
        Means in float64, of shape [...].

    Example:
        >>> macro_f1(torch.tensor([2, 1, 2, 3, 1]), torch.tensor([3, 1, 4]))
        tensor(0.6500, dtype=torch.float64)
    """
    right, predicted, true = _split(counts, actual)
    return _ratio(2 * right, predicted + true).mean(-1)


def exact_match(counts: Tensor, actual: Tensor) -> Tensor:
    """Give the share of samples with exactly the right labels, which scikit-learn calls the accuracy of labels.

    Args:
        counts: Summed `label_counts`, of shape [..., 2 * labels + 1].
        actual: Summed `label_sizes`, of shape [labels + 1].

    Returns:
        Shares in float64, of shape [...].

    Example:
        >>> exact_match(torch.tensor([2, 1, 2, 3, 1]), torch.tensor([3, 1, 4]))
        tensor(0.2500, dtype=torch.float64)
    """
    return _ratio(counts[..., -1].double(), actual[..., -1].double())


MULTI_LABEL_METRICS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "micro_f1": micro_f1,
    "macro_f1": macro_f1,
    "exact_match": exact_match,
}


def _split(counts: Tensor, actual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    true = actual[..., :-1].double()  # [..., labels]
    right, predicted = torch.split(counts[..., :-1].double(), true.shape[-1], dim=-1)  # [..., labels] each
    return right, predicted, true


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator == 0, 0.0, numerator / denominator)
