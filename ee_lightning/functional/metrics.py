"""Metrics from statistics that add up over samples, so that they can be carried along a curve.

What depends on the predictions, such as how often each class was predicted, is summed apart from what depends on the
labels alone, which is the same at every point of a curve: `actual`, such as how often each class occurs.

Each metric takes the two sums, [..., statistics] and [actual statistics], and returns float64, of shape [...]. Those of
classes take `classification_counts` and the classes' counts, those of labels `label_counts` and `label_sizes`, those of
regression `regression_moments` and `label_moments`. `counting_of` says which go together.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ee_lightning.errors import OptionError, did_you_mean, listed
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
    true_positives, _, true = _split(counts, actual)
    return _ratio(true_positives.sum(-1), true.sum())


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
    true_positives, predicted, true = _split(counts, actual)
    samples = true.sum()
    covariance = true_positives.sum(-1) * samples - (predicted * true).sum(-1)  # [...]
    predicted_variance = samples**2 - predicted.square().sum(-1)  # [...]
    true_variance = samples**2 - true.square().sum()
    return _ratio(covariance, (predicted_variance * true_variance).sqrt())


def balanced_accuracy(counts: Tensor, actual: Tensor) -> Tensor:
    """Return the mean of the classes' recalls, over those classes that occur.

    Example:
        >>> balanced_accuracy(torch.tensor([1, 2, 1, 3]), torch.tensor([1, 3]))
        tensor(0.8333, dtype=torch.float64)
    """
    true_positives, _, true = _split(counts, actual)
    return _ratio(_ratio(true_positives, true).sum(-1), (true > 0).double().sum(-1))


def _split(counts: Tensor, actual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    true_positives, predicted = torch.split(counts.double(), len(actual), dim=-1)  # [..., classes] each
    return true_positives, predicted, actual.double()


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


_FACTORS = {"f1": (2, 1, 1), "precision": (1, 1, 0), "recall": (1, 0, 1)}
"""Of how often a class is predicted rightly, over those of how often it is predicted at all, and true."""


def averaged(counts: Tensor, actual: Tensor, score: str, average: str | int, *, labels: bool = False) -> Tensor:
    """Return F1, precision or recall of a class, or on average over classes or labels, as torchmetrics has them.

    Args:
        counts: Sums of `classification_counts` or `label_counts`.
        actual: How often each class occurs, or sums of `label_sizes`.
        score: ``f1``, ``precision`` or ``recall``.
        average: ``macro``, the mean over classes that occur or are predicted, or over all labels; ``weighted`` by how
            often each occurs; ``micro``, of all decisions on labels together; ``binary``, that of class 1 of two; or
            the number of a class or label.
        labels: Whether samples have any number of labels.

    Example:
        >>> counts, actual = torch.tensor([1, 2, 1, 3]), torch.tensor([2, 2])
        >>> [round(averaged(counts, actual, "f1", each).item(), 4) for each in ("binary", "macro", "weighted", 0)]
        [0.8, 0.7333, 0.7333, 0.6667]
    """
    right, predicted, true = (_split_labels if labels else _split)(counts, actual)  # [..., classes] each
    above, of_predicted, of_true = _FACTORS[score]
    below = of_predicted * predicted + of_true * true  # [..., classes]
    scores = _ratio(above * right, below)  # [..., classes]
    match average:
        case "micro":
            return _ratio(above * right.sum(-1), below.sum(-1))
        case "weighted":
            return _ratio((scores * true).sum(-1), true.sum(-1))
        case "macro":
            return scores.mean(-1) if labels else _ratio(scores.sum(-1), (predicted + true > 0).double().sum(-1))
        case "binary" if true.shape[-1] != 2:
            raise ValueError(f"Expected two classes for the metric {score}, but got {true.shape[-1]}.")
        case _:
            return scores[..., 1 if average == "binary" else int(average)]


f1 = partial(averaged, score="f1", average="binary")
macro_f1 = partial(averaged, score="f1", average="macro")
micro_f1 = partial(averaged, score="f1", average="micro", labels=True)


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
    "weighted_f1": partial(averaged, score="f1", average="weighted"),
    "balanced_accuracy": balanced_accuracy,
    "precision": partial(averaged, score="precision", average="binary"),
    "recall": partial(averaged, score="recall", average="binary"),
    "macro_precision": partial(averaged, score="precision", average="macro"),
    "macro_recall": partial(averaged, score="recall", average="macro"),
}
MULTI_LABEL_METRICS: Mapping[str, Metric] = {
    "micro_f1": micro_f1,
    "macro_f1": partial(averaged, score="f1", average="macro", labels=True),
    "exact_match": exact_match,
    "weighted_f1": partial(averaged, score="f1", average="weighted", labels=True),
    **{
        f"{average}_{score}": partial(averaged, score=score, average=average, labels=True)
        for average in ("micro", "macro")
        for score in ("precision", "recall")
    },
}
REGRESSION_METRICS: Mapping[str, Metric] = {"pearson": pearson}
_OF_CLASS = re.compile(f"({'|'.join(_FACTORS)})_([0-9]+)")
_RANKING = ("auroc", "average_precision")
WITHOUT_CURVE = {Kind.SINGLE_LABEL: _RANKING, Kind.MULTI_LABEL: _RANKING, Kind.REGRESSION: ("spearman",)}
"""Metrics that don't add up over samples, so that only whole exits have them."""


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

    def metric(self, name: str) -> Metric:
        """Return a metric by its name, also one of a single class, such as ``f1_0``; raise a KeyError for another."""
        if class_metric := _OF_CLASS.fullmatch(name):
            labels = self.metrics is MULTI_LABEL_METRICS
            return partial(averaged, score=class_metric[1], average=int(class_metric[2]), labels=labels)
        return self.metrics[name]


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


def check_metrics(asked: Sequence[str], target: Target, where: str) -> list[str]:
    """Return the names of the metrics asked for; those of every class, such as ``class_f1``, become ``f1_0`` and so on.

    Args:
        asked: The names.
        target: What is predicted.
        where: The option that names them.

    Raises:
        OptionError: A metric is unknown or does not suit the task, or curves can't show the first.
    """
    of_classes = () if target.kind is Kind.REGRESSION else tuple(f"class_{score}" for score in _FACTORS)
    known, names = (*counting_of(target).metrics, *WITHOUT_CURVE[target.kind], *of_classes), dict[str, None]()
    for name in asked:
        of_class = of_classes and _OF_CLASS.fullmatch(name)
        if name not in known and not (of_class and int(of_class[2]) < target.num_classes):
            raise OptionError(
                f"{name} is no metric here", where=where, hint=f"{did_you_mean(name, known)}use {', '.join(known)}"
            )
        if target.kind is Kind.SINGLE_LABEL and name in _FACTORS and target.num_classes != 2:
            hint = f"use macro_{name}, the mean of all labels'"
            raise OptionError(f"{name} is for two labels", where=where, hint=hint)
        score = name.removeprefix("class_")
        names |= dict.fromkeys([f"{score}_{each}" for each in range(target.num_classes)] if score != name else [name])
    if next(iter(names), "") in WITHOUT_CURVE[target.kind]:
        shown = counting_of(target).metrics
        raise OptionError(f"curves show {listed(shown)} only", where=where, hint=f"name {next(iter(shown))} first")
    return list(names)


def rank_score(name: str, logits: Tensor, labels: Tensor, kind: Kind) -> float:
    """Return a metric that needs the ranks of all samples: one of `WITHOUT_CURVE`.

    The area under the ROC curve and the average precision are of class 1 of two, or else means over the classes or
    labels, each against the rest, but for those that all samples have or none. They, and Spearman's correlation with a
    constant, are 0 where there is nothing to rank.

    Args:
        name: The metric.
        logits: Of shape [samples, classes].
        labels: Class numbers or values of shape [samples], or labels of shape [samples, labels].
        kind: What is predicted.
    """
    from torchmetrics.functional import classification, spearman_corrcoef  # which take seconds to import

    if kind is Kind.REGRESSION:
        values = logits.squeeze(-1).double()
        is_constant = (values == values[0]).all() or (labels == labels[0]).all()
        return 0.0 if is_constant else float(spearman_corrcoef(values, labels.double()))
    several, num_classes = kind is Kind.MULTI_LABEL, logits.shape[-1]
    is_there = labels if several else one_hot(labels, num_classes)  # [samples, classes]
    likely = logits.double().sigmoid() if several else logits.double().softmax(-1)  # [samples, classes]
    score = classification.binary_auroc if name == "auroc" else classification.binary_average_precision
    ranked = [1] if num_classes == 2 and not several else range(num_classes)
    scores = [
        score(likely[:, each], is_there[:, each]).item()
        for each in ranked
        if 0 < int(is_there[:, each].sum()) < len(labels)
    ]
    return sum(scores) / len(scores) if scores else 0.0
