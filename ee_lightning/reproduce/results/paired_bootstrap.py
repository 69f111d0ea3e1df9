"""A paired bootstrap over samples and seeds, whose scores are averaged."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ee_lightning.functional import percentile_interval, resample, weighted_scores

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """By how much a row scores above another, in points.

    Attributes:
        value: The mean over seeds.
        low: The lower end of the 95 % bootstrap interval.
        high: The upper end.
        p_value: Of the two-sided paired bootstrap test.
        num_seeds: Number of seeds that both rows have.
        num_ahead: For how many of these seeds it scores above.
    """

    value: float
    low: float
    high: float
    p_value: float
    num_seeds: int
    num_ahead: int


def bootstrap_differences(
    tested: Sequence[Tensor],
    other: Sequence[Tensor],
    *,
    labels: Tensor,
    metric: str,
    num_classes: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Tensor:
    """Resample a data set, and score both rows on the same resamples, seed by seed.

    Args:
        tested: The predictions of a row for each seed, each of shape [samples].
        other: Those of the other row for the same seeds.
        labels: True class numbers, or values for regression, of shape [samples].
        metric: The score.
        num_classes: Number of classes; 1 for regression.
        seed: Of the resamples.
        resamples: Number of resamples.

    Returns:
        Differences of the scores, as shares: first on the data themselves, then on every resample, in float64, of
        shape [seeds, 1 + resamples].
    """
    drawn = resample(torch.stack([labels, *tested, *other], dim=-1), resamples, seed)
    weights = torch.cat([drawn.counts.unsqueeze(0), drawn.draws])  # [1 + resamples, distinct]
    true, *said = drawn.outcomes.unbind(-1)  # [distinct] each
    scores = torch.stack(
        [weighted_scores(predictions, true, weights, metric, num_classes) for predictions in said]
    )  # [2 * seeds, 1 + resamples]
    first, second = scores.chunk(2)
    return first - second


def summarise(differences: Sequence[Tensor]) -> Difference:
    """Average differences over seeds, and test them.

    Each resample draws as many seeds as there are, with replacement, beside its samples: runs of both rows stay paired
    by their seed.

    The p-value is twice the smaller of two shares, of the resamples in which the mean over seeds is 0 or below and of
    those in which it is 0 or above, each with one more on both sides of the fraction, as the data count themselves; at
    most 1.

    Args:
        differences: For each seed, on the data and on every resample, each of shape [1 + resamples].
    """
    by_seed = torch.stack(list(differences))  # [seeds, 1 + resamples]
    on_data, of_resamples = 100 * by_seed[:, 0].mean().item(), by_seed[:, 1:]  # [seeds, resamples]
    generator = torch.Generator().manual_seed(0)
    seeds = torch.randint(len(by_seed), of_resamples.shape, generator=generator)  # [seeds, resamples]
    drawn = 100 * of_resamples.gather(0, seeds).mean(0)  # [resamples]
    tails = [1 + int((drawn <= 0).sum()), 1 + int((drawn >= 0).sum())]
    p_value = min(1.0, 2 * min(tails) / (1 + len(drawn)))
    return Difference(
        on_data, *percentile_interval(drawn, LEVEL), p_value, len(by_seed), int((by_seed[:, 0] > 0).sum())
    )
