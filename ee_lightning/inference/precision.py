"""What bfloat16 does to the scores of a model that leaves early, and of the full one."""

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

from ee_lightning.exits import Criterion, Fixed
from ee_lightning.inference.batches import Sample
from ee_lightning.inference.engine import EarlyExitEngine, Precision
from ee_lightning.models import MultiExitModel


class PrecisionEffect(NamedTuple):
    """The scores of an operating point in both precisions.

    Attributes:
        criterion: The name of the criterion; None for the full model.
        threshold: In the criterion's unit.
        fp32: The score in float32.
        bf16: The score with matrix products in bfloat16.
    """

    criterion: str | None
    threshold: float
    fp32: float
    bf16: float


def precision_effects(
    model: MultiExitModel,
    samples: Sequence[Sample],
    points: Sequence[tuple[Criterion, float]],
    score: Callable[[Tensor], float],
) -> list[PrecisionEffect]:
    """Score the full model and operating points in float32 and in bfloat16.

    Args:
        model: The model; it is put into evaluation mode.
        samples: Tokenised samples.
        points: Criteria, fitted beforehand if they have to be, and thresholds.
        score: Gives the score of labels or, for regression, values, ``[samples]``; or of several labels a sample,
            ``[samples, labels]``.

    Returns:
        The scores of the full model, then those of the points.
    """

    def scored(criterion: Criterion, threshold: float, precision: Precision) -> float:
        engine = EarlyExitEngine(model, criterion, threshold, precision=precision)
        return score(torch.cat([predictions.labels for predictions in engine.predict(samples)]))  # [samples]

    return [
        PrecisionEffect(
            criterion.name if place else None,
            threshold,
            scored(criterion, threshold, "fp32"),
            scored(criterion, threshold, "bf16"),
        )
        for place, (criterion, threshold) in enumerate([(Fixed(), inf), *points])
    ]
