"""What a threshold reaches, with confidence intervals."""

import torch
from torch import Tensor

from ee_lightning.exits import Criterion, StoredExits, replay
from ee_lightning.functional import percentile_interval, resample, weighted_scores
from ee_lightning.operating import Estimate

RESAMPLES = 2000


def measure(
    criterion: Criterion, threshold: float, exits: StoredExits, metric: str, confidence: float, seed: int
) -> dict[str, Estimate]:
    """Measure a threshold against the full model, with bootstrap percentile intervals.

    The intervals are over the samples, paired: each resample holds the same samples of both.

    Args:
        criterion: Any criterion.
        threshold: In the criterion's own unit.
        exits: The stored exits of samples that the threshold was not chosen on, with class numbers as labels.
        metric: A key of `CLASSIFICATION_METRICS` that suits the number of classes.
        confidence: The level of the intervals.
        seed: Of the resamples.

    Returns:
        What `OperatingPoint.reached` describes.
    """
    exit_layer, label = replay(criterion, exits).at(threshold)
    full = exits.output(exits.num_exits).predictions  # [samples]
    outcomes = torch.stack([exit_layer, label, full, exits.class_numbers()], dim=-1)  # [samples, 4]
    drawn = resample(outcomes, RESAMPLES, seed)
    weights = torch.cat([drawn.counts.unsqueeze(0), drawn.draws])  # [1 + resamples, distinct]
    figures = _figures(drawn.outcomes, weights, exits.num_exits, exits.num_classes, metric)
    return {
        name: Estimate(values[0].item(), *percentile_interval(values[1:], confidence))
        for name, values in figures.items()
    }


def _figures(outcomes: Tensor, weights: Tensor, num_exits: int, num_classes: int, metric: str) -> dict[str, Tensor]:
    """Give the figures of data sets that have every distinct outcome so many times, each of shape [data sets]."""
    exit_layer, early, full, labels = outcomes.unbind(-1)  # [distinct] each
    weights = weights.double()  # [data sets, distinct]; whole numbers, which matmul takes only in floating point

    def score(predictions: Tensor) -> Tensor:
        return weighted_scores(predictions, labels, weights, metric, num_classes)  # [data sets]

    samples = weights.sum(-1)  # [data sets]
    return {
        "speedup": num_exits * samples / (weights @ exit_layer.double()),
        "score": score(early),
        "full_score": score(full),
        "loss": score(full) - score(early),
        "consistency": weights @ (early == full).double() / samples,
    }
