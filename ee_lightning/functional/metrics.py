"""Metrics from statistics that add up over samples, so that they can be carried along a curve.

What depends on the predictions, such as how often each class was predicted, is summed apart from what depends on the
labels alone, which is the same at every point of a curve: `actual`, such as how often each class occurs.

Each metric takes the two sums, [..., statistics] and [actual statistics], and returns float64, of shape [...]. Those of
classes take `classification_counts` and the classes' counts, those of labels `label_counts` and `label_sizes`, those of
regression `regression_moments` and `label_moments`. `counting_of` says which go together.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ee_lightning.functional.kind import Kind, Target

ROUNDING = 1e-12
"""A variance of at most this share of the sum of squares is one of rounding alone."""


def classification_counts(predictions: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Count, for each sample, the true positives of each class, and then how often it was predicted.

    Class numbers of shape [...] give integers of shape [..., 2 * classes].

    Example:
        >>> classification_counts(torch.tensor([1, 0]), torch.tensor([1, 1]), 2)
        tensor([[0, 1, 0, 1],
                [0, 0, 1, 0]])
    """
    predicted = one_hot(predictions, num_classes)  # [..., classes]
    true_positives = predicted * (predictions == labels).unsqueeze(-1)
    return torch.cat([true_positives, predicted], dim=-1)  # [..., 2 * classes]


def accuracy(counts: Tensor, actual: Tensor) -> Tensor:
    """Return the share of samples that are classified rightly.

    Example:
        >>> accuracy(torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2]))
        tensor(0.7500, dtype=torch.float64)
    """
    true_positives, _ = _split(counts, actual)
    return _ratio(true_positives.sum(-1), actual.double().sum())


def f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Return the harmonic mean of precision and recall of class 1, and 0 where class 1 neither occurs nor is predicted.

    Other than two classes are a ValueError.

    Example:
        >>> f1(torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2]))
        tensor(0.8000, dtype=torch.float64)
    """
    if len(actual) != 2:
        raise ValueError(f"Expected two classes for the metric f1, but got {len(actual)}.")
    true_positives, predicted = _split(counts, actual)
    return _ratio(2 * true_positives[..., 1], predicted[..., 1] + actual[1])


def macro_f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Return the mean of the classes' F1 scores, over those classes that occur or are predicted.

    Example:
        >>> macro_f1(torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2]))
        tensor(0.7333, dtype=torch.float64)
    """
    true_positives, predicted = _split(counts, actual)
    sizes = predicted + actual  # [..., classes]
    return _ratio(_ratio(2 * true_positives, sizes).sum(-1), (sizes > 0).double().sum(-1))


def matthews(counts: Tensor, actual: Tensor) -> Tensor:
    r"""Return the Matthews correlation of predicted and true classes (`Gorodkin 2004`_: R_K, any number of classes).

    .. math:: R_K = \frac{c s - \sum_k p_k t_k}{\sqrt{(s^2 - \sum_k p_k^2)(s^2 - \sum_k t_k^2)}}

    with s samples, c of them right, class k predicted :math:`p_k` times and true :math:`t_k` times. Where one class
    alone is predicted, or one alone occurs, there is no correlation to speak of and the value is 0, as scikit-learn has
    it. (For two classes torchmetrics gives a limit there, which is not 0 for a constant prediction.)

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


def _split(counts: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
    true_positives, predicted = torch.split(counts.double(), len(actual), dim=-1)  # [..., classes] each
    return true_positives, predicted


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator == 0, 0.0, numerator / denominator)


def label_counts(predictions: Tensor, labels: Tensor) -> Tensor:
    """Count, for each sample, the true positives of each label, how often it was predicted, and whether all are right.

    Whether each label is predicted and is there, [..., labels], gives integers of shape [..., 2 * labels + 1].

    Example:
        >>> label_counts(torch.tensor([[True, True], [False, True]]), torch.tensor([[1, 0], [0, 1]]))
        tensor([[1, 0, 1, 1, 0],
                [0, 1, 0, 1, 1]])
    """
    predicted, true = predictions.bool(), labels.bool()
    is_exact = (predicted == true).all(-1, keepdim=True)  # [..., 1]
    return torch.cat([predicted & true, predicted, is_exact], dim=-1).long()  # [..., 2 * labels + 1]


def label_sizes(labels: Tensor) -> Tensor:
    """Return which labels each sample has, [..., labels], and then 1 for the sample, as integers [..., labels + 1].

    Example:
        >>> label_sizes(torch.tensor([[1, 0], [1, 1]])).sum(0)
        tensor([2, 1, 2])
    """
    true = labels.long()
    return torch.cat([true, torch.ones_like(true[..., :1])], dim=-1)  # [..., labels + 1]


def micro_f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Return the F1 score of all decisions on labels together, and 0 where no label occurs or is predicted.

    Example:
        >>> micro_f1(torch.tensor([2, 1, 2, 3, 1]), torch.tensor([3, 1, 4]))
        tensor(0.6667, dtype=torch.float64)
    """
    right, predicted, true = _split_labels(counts, actual)
    return _ratio(2 * right.sum(-1), predicted.sum(-1) + true.sum(-1))


def label_macro_f1(counts: Tensor, actual: Tensor) -> Tensor:
    """Return the mean of the labels' F1 scores, that of a label that neither occurs nor is predicted being 0.

    So torchmetrics and scikit-learn have it for labels. (Of classes, those that don't appear are left out of the mean.)

    Example:
        >>> label_macro_f1(torch.tensor([2, 1, 2, 3, 1]), torch.tensor([3, 1, 4]))
        tensor(0.6500, dtype=torch.float64)
    """
    right, predicted, true = _split_labels(counts, actual)
    return _ratio(2 * right, predicted + true).mean(-1)


def exact_match(counts: Tensor, actual: Tensor) -> Tensor:
    """Return the share of samples with exactly the right labels, which scikit-learn calls the accuracy of labels.

    Example:
        >>> exact_match(torch.tensor([2, 1, 2, 3, 1]), torch.tensor([3, 1, 4]))
        tensor(0.2500, dtype=torch.float64)
    """
    return _ratio(counts[..., -1].double(), actual[..., -1].double())


def _split_labels(counts: Tensor, actual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    true = actual[..., :-1].double()  # [..., labels]
    right, predicted = torch.split(counts[..., :-1].double(), true.shape[-1], dim=-1)  # [..., labels] each
    return right, predicted, true


def regression_moments(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return, for each sample, the predicted value, its square and its product with the true one, [..., 3] in float64.

    Shift the values [...] beforehand by a constant amid them: the metrics don't mind, and the sums stay exact.

    Example:
        >>> regression_moments(torch.tensor([2.0, 1.0]), torch.tensor([3.0, 0.0]))
        tensor([[2., 4., 6.],
                [1., 1., 0.]], dtype=torch.float64)
    """
    predicted = predictions.double()
    return torch.stack([predicted, predicted.square(), predicted * labels.double()], dim=-1)  # [..., 3]


def label_moments(labels: Tensor) -> Tensor:
    """Return, for each sample, 1, the true value and its square, in float64, of shape [..., 3]."""
    values = labels.double()
    return torch.stack([torch.ones_like(values), values, values.square()], dim=-1)  # [..., 3]


def pearson(moments: Tensor, actual: Tensor) -> Tensor:
    r"""Return Pearson's correlation of predicted and true values, between -1 and 1.

    .. math:: r = \frac{s_{\hat y y} - s_{\hat y} s_y / n}
        {\sqrt{(s_{\hat y \hat y} - s_{\hat y}^2 / n)(s_{yy} - s_y^2 / n)}}

    with n samples and the sums s of the values predicted :math:`\hat y` and true y, their squares and products. Where
    all values predicted or all true ones are equal, there is no correlation to speak of and the value is 0; as is a
    variance within the rounding of its sums.

    Example:
        >>> predicted, true = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 3.0, 2.0])
        >>> pearson(regression_moments(predicted, true).sum(0), label_moments(true).sum(0))
        tensor(0.3273, dtype=torch.float64)
    """
    predicted, predicted_squares, products = moments.unbind(-1)  # [...] each
    samples, true, true_squares = actual.unbind(-1)
    covariance = products - predicted * true / samples  # [...]
    predicted_variance = predicted_squares - predicted.square() / samples  # [...]
    true_variance = true_squares - true.square() / samples
    is_constant = (predicted_variance <= ROUNDING * predicted_squares) | (true_variance <= ROUNDING * true_squares)
    correlation = covariance / (predicted_variance * true_variance).sqrt()  # [...]; NaN or infinite where constant
    return torch.where(is_constant, 0.0, correlation.clamp(-1, 1))


Metric = Callable[[Tensor, Tensor], Tensor]
CLASSIFICATION_METRICS: Mapping[str, Metric] = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
}
MULTI_LABEL_METRICS: Mapping[str, Metric] = {
    "micro_f1": micro_f1,
    "macro_f1": label_macro_f1,
    "exact_match": exact_match,
}
REGRESSION_METRICS: Mapping[str, Metric] = {"pearson": pearson}


class Counting(NamedTuple):
    """How the samples of a task are counted for its metrics.

    Attributes:
        tally: Returns each sample's statistics of its predictions and labels, of shape [..., statistics].
        tally_actual: Returns each sample's statistics of its labels alone, of shape [..., actual statistics].
        metrics: By name what returns a metric, given the sums of the two.
    """

    tally: Callable[[Tensor, Tensor], Tensor]
    tally_actual: Callable[[Tensor], Tensor]
    metrics: Mapping[str, Metric]


def counting_of(target: Target) -> Counting:
    """Return how the samples of a task are counted for its metrics."""
    match target.kind:
        case Kind.SINGLE_LABEL:
            tally = partial(classification_counts, num_classes=target.num_classes)
            return Counting(tally, partial(one_hot, num_classes=target.num_classes), CLASSIFICATION_METRICS)
        case Kind.MULTI_LABEL:
            return Counting(label_counts, label_sizes, MULTI_LABEL_METRICS)
        case Kind.REGRESSION:
            return Counting(regression_moments, label_moments, REGRESSION_METRICS)
