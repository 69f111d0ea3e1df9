"""Scores of every exit, by torchmetrics."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_f1_score,
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_matthews_corrcoef,
)
from torchmetrics.functional.regression import pearson_corrcoef, spearman_corrcoef

Metric = Callable[[Tensor, Tensor, int], Tensor]
"""Scores predictions ``[samples]`` against labels ``[samples]``, given the number of classes, 1 for regression."""


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


def exit_scores(logits: Tensor, labels: Tensor, metrics: Sequence[str]) -> dict[str, list[float]]:
    """Score every exit as if all samples left there.

    Args:
        logits: ``[exits, samples, classes]``; for regression the values, ``[exits, samples, 1]``.
        labels: Class numbers, or for regression values, ``[samples]``.
        metrics: Names from :data:`METRICS`.

    Returns:
        For each metric one score an exit.
    """
    num_classes = logits.shape[-1]
    predictions = logits.squeeze(-1) if num_classes == 1 else logits.argmax(-1)  # [exits, samples]
    return {
        name: [METRICS[name](prediction, labels, num_classes).item() for prediction in predictions] for name in metrics
    }
