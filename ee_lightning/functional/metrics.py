"""Classification metrics from counts that add up over samples, so that they can be carried along a curve.

The counts of C classes are 2C integers: first the true positives of each class, then how often it was predicted. How
often a class occurs is the same at every point of a curve and is passed apart, as `actual`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def classification_counts(predictions: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Count one sample at a time; the sum over samples is what the metrics take.

    Args:
        predictions: Predicted class numbers, of shape [...].
        labels: True class numbers, of shape [...].
        num_classes: Number of classes C.

    Returns:
        Integers, of shape [..., 2 * classes].

    Example:
        >>> classification_counts(torch.tensor([1, 0]), torch.tensor([1, 1]), 2)
        tensor([[0, 1, 0, 1],
                [0, 0, 1, 0]])
    """
    predicted = one_hot(predictions, num_classes)  # [..., classes]
    true_positives = predicted * (predictions == labels).unsqueeze(-1)
    return torch.cat([true_positives, predicted], dim=-1)  # [..., 2 * classes]


def accuracy(counts: Tensor, actual: Tensor) -> Tensor:
    """Give the share of samples that are classified rightly.

    Args:
        counts: Summed counts, of shape [..., 2 * classes].
        actual: How often each class occurs, of shape [classes].

    Returns:
        Accuracies in float64, of shape [...].

    Example:
        >>> accuracy(torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2]))
        tensor(0.7500, dtype=torch.float64)
    """
    true_positives, _ = _split(counts, actual)
    return _ratio(true_positives.sum(-1), actual.double().sum())


def f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Give the harmonic mean of precision and recall of class 1, and 0 where class 1 neither occurs nor is predicted.

    Args:
        counts: Summed counts of two classes, of shape [..., 4].
        actual: How often each of the two classes occurs, of shape [2].

    Returns:
        F1 scores in float64, of shape [...].

    Raises:
        ValueError: If there are not two classes.

    Example:
        >>> f1(torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2]))
        tensor(0.8000, dtype=torch.float64)
    """
    if len(actual) != 2:
        raise ValueError(f"Expected two classes for the metric f1, but got {len(actual)}.")
    true_positives, predicted = _split(counts, actual)
    return _ratio(2 * true_positives[..., 1], predicted[..., 1] + actual[1])


def macro_f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Give the mean of the classes' F1 scores, over those classes that occur or are predicted.

    Args:
        counts: Summed counts, of shape [..., 2 * classes].
        actual: How often each class occurs, of shape [classes].

    Returns:
        Means in float64, of shape [...].

    Example:
        >>> macro_f1(torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2]))
        tensor(0.7333, dtype=torch.float64)
    """
    true_positives, predicted = _split(counts, actual)
    sizes = predicted + actual  # [..., classes]
    return _ratio(_ratio(2 * true_positives, sizes).sum(-1), (sizes > 0).double().sum(-1))


def matthews(counts: Tensor, actual: Tensor) -> Tensor:
    r"""Give the Matthews correlation of predicted and true classes (`Gorodkin 2004`_'s R_K for any number of classes).

    .. math:: R_K = \frac{c s - \sum_k p_k t_k}{\sqrt{(s^2 - \sum_k p_k^2)(s^2 - \sum_k t_k^2)}}

    with s samples, c of them right, class k predicted :math:`p_k` times and true :math:`t_k` times. Where one class
    alone is predicted, or one alone occurs, there is no correlation to speak of and the value is 0, as scikit-learn has
    it. (For two classes torchmetrics gives a limit there, which is not 0 for a constant prediction.)

    Args:
        counts: Summed counts, of shape [..., 2 * classes].
        actual: How often each class occurs, of shape [classes].

    Returns:
        Correlations between -1 and 1 in float64, of shape [...].

    Example:
        >>> matthews(torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2]))
        tensor(0.5774, dtype=torch.float64)

    .. _Gorodkin 2004: https://doi.org/10.1016/j.compbiolchem.2004.09.006
    """
    true_positives, predicted = _split(counts, actual)
    true = actual.double()
    samples = true.sum()
    covariance = true_positives.sum(-1) * samples - (predicted * true).sum(-1)  # [...]
    predicted_variance = samples**2 - predicted.square().sum(-1)  # [...]
    true_variance = samples**2 - true.square().sum()
    return _ratio(covariance, (predicted_variance * true_variance).sqrt())


CLASSIFICATION_METRICS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
}


def _split(counts: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
    true_positives, predicted = torch.split(counts.double(), len(actual), dim=-1)  # [..., classes] each
    return true_positives, predicted


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator == 0, 0.0, numerator / denominator)
