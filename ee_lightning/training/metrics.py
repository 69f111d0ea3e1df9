"""Scores of every exit, by torchmetrics."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_f1_score,
    multiclass_accuracy,
    multiclass_matthews_corrcoef,
)

METRICS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "accuracy": lambda predictions, labels, classes: multiclass_accuracy(predictions, labels, classes, average="micro"),
    "f1": lambda predictions, labels, _: binary_f1_score(predictions, labels),
    "matthews": lambda predictions, labels, classes: _matthews(predictions, labels, classes),
}


def exit_scores(logits: Tensor, labels: Tensor, metrics: Sequence[str]) -> dict[str, list[float]]:
    """Score every exit as if all samples left there.

    Args:
        logits: ``[exits, samples, classes]``.
        labels: ``[samples]``.
        metrics: Names from :data:`METRICS`.

    Returns:
        For each metric one score an exit.
    """
    predictions = logits.argmax(-1)  # [exits, samples]
    return {
        name: [METRICS[name](prediction, labels, logits.shape[-1]).item() for prediction in predictions]
        for name in metrics
    }


def _matthews(predictions: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Take the undefined correlation with a constant as 0, as GLUE's scorer does; torchmetrics does not always."""
    if (predictions == predictions[0]).all() or (labels == labels[0]).all():
        return torch.zeros(())
    return multiclass_matthews_corrcoef(predictions, labels, num_classes)
