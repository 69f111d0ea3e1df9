"""What thresholds reach, with confidence intervals."""

from dataclasses import dataclass

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
    drawn = _Drawn.of([exit_layer], [early, exits.predictions[-1]], exits, metric, seed)
    (exit_layer,), (early, full) = drawn.exit_layers, drawn.said  # [distinct] each
    score, full_score = drawn.score(early), drawn.score(full)  # [data sets] each
    figures = {
        "speedup": drawn.speedup(exit_layer),
        "score": score,
        "full_score": full_score,
        "loss": full_score - score,
        "consistency": drawn.weights @ (early == full).double() / drawn.weights.sum(-1),
    }
    return {name: _estimate(values, confidence) for name, values in figures.items()}


def measure_gain(
    first: tuple[Criterion, float],
    second: tuple[Criterion, float],
    exits: StoredExits,
    metric: str,
    confidence: float,
    seed: int,
) -> dict[str, Estimate]:
    """Measure by how much one criterion at a threshold is above another on the same samples.

    Args:
        first: A criterion and its threshold.
        second: The one that may be above it.
        exits: The stored exits of the samples.
        metric: As in `measure`.
        confidence: The level of the intervals, which are paired over the samples.
        seed: Of the resamples.

    Returns:
        The differences of ``speedup`` and ``score``.
    """
    (exits_1, said_1), (exits_2, said_2) = (replay(rule, exits).at(threshold) for rule, threshold in (first, second))
    drawn = _Drawn.of([exits_1, exits_2], [said_1, said_2], exits, metric, seed)
    (exits_1, exits_2), (said_1, said_2) = drawn.exit_layers, drawn.said  # [distinct] each
    figures = {
        "speedup": drawn.speedup(exits_2) - drawn.speedup(exits_1),
        "score": drawn.score(said_2) - drawn.score(said_1),
    }
    return {name: _estimate(values, confidence) for name, values in figures.items()}


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Data sets that have every distinct outcome so many times: the samples themselves, then their resamples.

    Attributes:
        exit_layers: Where each rule lets the sample of an outcome leave, each of shape [distinct].
        said: The number of what each predicts for it, each of shape [distinct].
        actual: The number of what is right, of shape [distinct].
        meanings: The class or set of labels of each number, of shape [meanings] or [meanings, labels].
        weights: How often each outcome occurs, in float64, of shape [data sets, distinct].
        num_exits: Number of exits.
        metric: The score.
    """

    exit_layers: tuple[Tensor, ...]
    said: tuple[Tensor, ...]
    actual: Tensor
    meanings: Tensor
    weights: Tensor
    num_exits: int
    metric: str

    @classmethod
    def of(cls, exit_layers: list[Tensor], said: list[Tensor], exits: StoredExits, metric: str, seed: int) -> "_Drawn":
        """Draw resamples of what rules do with each sample: exit layers [samples], predictions [samples, ...]."""
        numbers, meanings = _numbered(said, exits)  # [predictions + 1, samples], [meanings] or [meanings, labels]
        drawn = resample(torch.cat([torch.stack(exit_layers), numbers]).T, RESAMPLES, seed)
        columns = drawn.outcomes.unbind(-1)  # [distinct] each
        weights = torch.cat([drawn.counts.unsqueeze(0), drawn.draws]).double()  # matmul takes no whole numbers
        layers = columns[: len(exit_layers)]
        return cls(layers, columns[len(layers) : -1], columns[-1], meanings, weights, exits.num_exits, metric)

    def speedup(self, exit_layer: Tensor) -> Tensor:
        """Return all layers over mean executed layers, of shape [data sets]."""
        return self.num_exits * self.weights.sum(-1) / (self.weights @ exit_layer.double())

    def score(self, said: Tensor) -> Tensor:
        """Return the metric of predictions, of shape [data sets]."""
        predicted, true = self.meanings[said], self.meanings[self.actual]  # [distinct] or [distinct, labels] each
        return weighted_scores(predicted, true, self.weights, self.metric, num_classes=len(self.meanings))


def _numbered(said: list[Tensor], exits: StoredExits) -> tuple[Tensor, Tensor]:
    """Return a number for each prediction and, last, for what is right, and what each number means."""
    if exits.kind is Kind.MULTI_LABEL:
        return set_numbers(torch.stack([*said, exits.label_sets().bool()]))
    return torch.stack([*said, exits.class_numbers()]), torch.arange(exits.num_classes)


def _estimate(values: Tensor, confidence: float) -> Estimate:
    return Estimate(values[0].item(), *percentile_interval(values[1:], confidence))
