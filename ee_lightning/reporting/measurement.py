"""What a threshold reaches, with confidence intervals."""

import torch
from torch import Tensor

from ee_lightning.exits import Criterion, StoredExits, replay
from ee_lightning.functional import Kind, percentile_interval, resample, set_numbers, weighted_scores
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
        exits: The stored exits of samples that the threshold was not chosen on, with class numbers or sets of labels.
        metric: A key of `CLASSIFICATION_METRICS` that suits the number of classes, or of `MULTI_LABEL_METRICS`.
        confidence: The level of the intervals.
        seed: Of the resamples.

    Returns:
        What `OperatingPoint.reached` describes.
    """
    exit_layer, early = replay(criterion, exits).at(threshold)
    full = exits.predictions[-1]  # [samples] or [samples, labels]
    numbers, meanings = _numbered(early, full, exits)  # [3, samples], [meanings] or [meanings, labels]
    drawn = resample(torch.cat([exit_layer.unsqueeze(-1), numbers.T], dim=-1), RESAMPLES, seed)
    weights = torch.cat([drawn.counts.unsqueeze(0), drawn.draws])  # [1 + resamples, distinct]
    figures = _figures(drawn.outcomes, meanings, weights, exits.num_exits, metric)
    return {
        name: Estimate(values[0].item(), *percentile_interval(values[1:], confidence))
        for name, values in figures.items()
    }


def _numbered(early: Tensor, full: Tensor, exits: StoredExits) -> tuple[Tensor, Tensor]:
    """Give a number to what is predicted early, by the full model, and right, and what each number means."""
    if exits.kind is Kind.MULTI_LABEL:
        return set_numbers(torch.stack([early, full, exits.label_sets().bool()]))
    return torch.stack([early, full, exits.class_numbers()]), torch.arange(exits.num_classes)


def _figures(outcomes: Tensor, meanings: Tensor, weights: Tensor, num_exits: int, metric: str) -> dict[str, Tensor]:
    """Give the figures of data sets that have every distinct outcome so many times, each of shape [data sets]."""
    exit_layer, early, full, labels = outcomes.unbind(-1)  # [distinct] each
    weights = weights.double()  # [data sets, distinct]; whole numbers, which matmul takes only in floating point

    def score(numbers: Tensor) -> Tensor:
        said, true = meanings[numbers], meanings[labels]  # [distinct] or [distinct, labels] each
        return weighted_scores(said, true, weights, metric, num_classes=len(meanings))  # [data sets]

    samples = weights.sum(-1)  # [data sets]
    return {
        "speedup": num_exits * samples / (weights @ exit_layer.double()),
        "score": score(early),
        "full_score": score(full),
        "loss": score(full) - score(early),
        "consistency": weights @ (early == full).double() / samples,
    }
