"""Scores of every exit, by torchmetrics."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_f1_score,
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_matthews_corrcoef,
    multilabel_exact_match,
    multilabel_f1_score,
)
from torchmetrics.functional.regression import pearson_corrcoef, spearman_corrcoef

from ee_lightning.functional import Kind, predictions_of

Metric = Callable[[Tensor, Tensor, int], Tensor]
"""Scores predictions against labels, ``[samples]``, or of several labels a sample ``[samples, labels]``.

It is given the number of classes or labels too, 1 for regression.
"""


def _zero_for_constants(correlation: Metric) -> Metric:
    """Take the undefined correlation with a constant as 0; torchmetrics does not always."""

    def score(predictions: Tensor, labels: Tensor, num_classes: int) -> Tensor:
        if (predictions == predictions[0]).all() or (labels == labels[0]).all():
            return torch.zeros(())
        return correlation(predictions, labels, num_classes)

    return score


METRICS: dict[str, Metric] = {
    "accuracy": lambda predictions, labels, classes: multiclass_accuracy(predictions, labels, classes, average="micro"),
    "f1": lambda predictions, labels, _: binary_f1_score(predictions, labels),
    "macro_f1": lambda predictions, labels, classes: multiclass_f1_score(predictions, labels, classes, average="macro"),
    "matthews": _zero_for_constants(multiclass_matthews_corrcoef),
    "pearson": _zero_for_constants(lambda values, labels, _: pearson_corrcoef(values.double(), labels.double())),
    "spearman": _zero_for_constants(lambda values, labels, _: spearman_corrcoef(values.double(), labels.double())),
}


MULTI_LABEL_METRICS: dict[str, Metric] = {
    "micro_f1": lambda said, labels, number: multilabel_f1_score(said.int(), labels, number, average="micro"),
    "macro_f1": lambda said, labels, number: multilabel_f1_score(said.int(), labels, number, average="macro"),
    "exact_match": lambda said, labels, number: multilabel_exact_match(said.int(), labels, number),
}


def metrics_of(kind: Kind) -> dict[str, Metric]:
    """Give the metrics by name, of a task with one label or value a sample or with several labels."""
    return MULTI_LABEL_METRICS if kind is Kind.MULTI_LABEL else METRICS


def exit_scores(
    logits: Tensor, labels: Tensor, metrics: Sequence[str], *, multi_label: bool = False
) -> dict[str, list[float]]:
    """Score every exit as if all samples left there.

    Args:
        logits: ``[exits, samples, classes]``; for regression the values, ``[exits, samples, 1]``; of several labels a
            sample ``[exits, samples, labels]``.
        labels: Class numbers, or for regression values, ``[samples]``; or whether each label is there,
            ``[samples, labels]``.
        metrics: Names that `metrics_of` their kind knows.
        multi_label: Whether every logit is of a label for itself.

    Returns:
        For each metric one score an exit.
    """
    num_classes = logits.shape[-1]
    kind = Kind.of(num_classes, multi_label=multi_label)
    known, predictions = metrics_of(kind), predictions_of(logits, kind)  # [exits, samples], or with [..., labels]
    return {name: [known[name](said, labels, num_classes).item() for said in predictions] for name in metrics}
