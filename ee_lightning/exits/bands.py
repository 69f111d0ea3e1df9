"""Intervals around accuracy-speed curves, by resampling rows."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ee_lightning.exits.criterion import Criterion
from ee_lightning.exits.curve import Curve, replay, statistics_of
from ee_lightning.exits.stored import StoredExits
from ee_lightning.functional import same_rows

LEVEL = 0.95
RESAMPLES = 200
_GRID = 129
_MOST_ROWS = 5_000


class Bands:
    """Gives curves of the same stored exits their bands.

    A band holds the score at each speed for 95 % of 200 data sets, as large as the split, whose rows are drawn from it
    with replacement (Efron 1979). Every criterion is traced on the same ones. A criterion is not fitted again, and the
    model not trained again: the band is about other rows, not about other runs.

    Curves are read at 129 costs. Of more than 5,000 rows so many are drawn at random, and the distances of resamples
    from their curve are scaled by the root of the share that they are.

    Args:
        exits: The stored exits, with labels.
        seed: Of the resamples.
    """

    def __init__(self, exits: StoredExits, seed: int = 0) -> None:
        random, rows = np.random.default_rng(seed), exits.num_samples
        self._shrinking = min(1.0, (_MOST_ROWS / rows) ** 0.5)
        if rows > _MOST_ROWS:
            exits = exits.select(torch.from_numpy(np.sort(random.choice(rows, _MOST_ROWS, replace=False))))
        self._exits, rows = exits, exits.num_samples
        drawn = [np.bincount(random.integers(rows, size=rows), minlength=rows) for _ in range(RESAMPLES)]
        self._weights = torch.from_numpy(np.stack([np.ones(rows), *drawn]))  # [1 + resamples, samples]
        self._statistics = statistics_of(exits)
        self._actual = self._weights @ self._statistics.of_labels.double()  # [1 + resamples, actual statistics]
        self._layers = torch.tensor(exits.layers_of_exits)

    def around(self, curve: Curve, criterion: Criterion) -> Curve:
        """Return a curve of these exits with its band, by metric; the criterion is the one that it is of."""
        points = _spread(curve.mean_exit)  # [grid]
        costs, sums = self._resampled(curve, criterion, points)
        bands = {}
        for name in curve.scores:
            scores = torch.vmap(self._statistics.metric(name))(sums, self._actual)  # [1 + resamples, grid]
            bands[name] = self._band(curve, name, points, costs.numpy(), scores.numpy())
        return replace(curve, bands=bands)

    def scores_at(self, curve: Curve, criterion: Criterion, metric: str, speedups: Sequence[float]) -> Tensor:
        """Return the metric at some speed-ups: the curve's own, and that of every resample.

        Exits of as many rows have the same resamples, so that others' scores can be set beside these one by one.

        Returns:
            Of shape [1 + resamples, speed-ups]; NaN where the curve does not reach.
        """
        costs, sums = self._resampled(curve, criterion, _spread(curve.mean_exit))
        scores = torch.vmap(self._statistics.metric(metric))(sums, self._actual).numpy()  # [1 + resamples, grid]
        read = torch.from_numpy(_read(curve.num_layers / np.array(speedups), costs.numpy(), scores))
        of_curve = read.new_tensor([curve.score_at(speedup, metric) for speedup in speedups])  # [speed-ups]
        away = self._shrinking * (read[1:] - read[0])  # [resamples, speed-ups]
        return torch.cat([of_curve.unsqueeze(0), of_curve + away])

    def _resampled(self, curve: Curve, criterion: Criterion, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean layers [1 + resamples, grid] and summed statistics [1 + resamples, grid, statistics]."""
        replayed = replay(criterion, self._exits)
        return self._along([replayed.at(threshold) for threshold in curve.thresholds[points].tolist()])

    def _along(self, outcomes: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return mean layers and summed statistics of every data set at every point, by what changes between points."""
        everyone = torch.arange(self._exits.num_samples)
        exit_layer, label = outcomes[0]
        totals = [self._weights @ self._at(everyone, exit_layer, label)]  # [1 + resamples, 1 + statistics] each
        for (exit_before, label_before), (exit_layer, label) in pairwise(outcomes):
            moved = ((exit_layer != exit_before) | ~same_rows(label, label_before)).nonzero().squeeze(1)  # [moved]
            change = self._at(moved, exit_layer[moved], label[moved])  # [moved, 1 + statistics]
            change = change - self._at(moved, exit_before[moved], label_before[moved])
            totals.append(totals[-1] + self._weights[:, moved] @ change)
        along = torch.stack(totals, 1)  # [1 + resamples, grid, 1 + statistics]
        return along[..., 0] / self._exits.num_samples, along[..., 1:]

    def _at(self, samples: Tensor, exit_layer: Tensor, label: Tensor) -> Tensor:
        layers = self._layers[exit_layer - 1].unsqueeze(-1)
        return torch.cat([layers, self._statistics.tally(label, samples)], dim=-1).double()

    def _band(
        self, curve: Curve, metric: str, points: Tensor, costs: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor]:
        at, every = curve.mean_exit[points].numpy(), curve.mean_exit.numpy()
        read = _read(at, costs, scores)  # [1 + resamples, grid]
        tails = np.quantile(read[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)  # [2, grid]
        away = (tails - read[0]) * self._shrinking
        ends = [curve.scores[metric].numpy() + np.interp(every, at[::-1], end[::-1]) for end in away]
        low, high = (torch.from_numpy(end) for end in ends)  # [points] each
        return torch.minimum(low, curve.scores[metric]), torch.maximum(high, curve.scores[metric])


def _read(at: NDArray[np.float64], costs: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read curves of costs and scores, [1 + resamples, grid], at some costs: of shape [1 + resamples, costs]."""
    return np.stack([np.interp(at, cost[::-1], score[::-1]) for cost, score in zip(costs, scores, strict=True)])


def _spread(mean_exit: Tensor) -> Tensor:
    """Return points of a curve, those nearest to evenly spaced costs, from slow to fast."""
    costs = torch.linspace(mean_exit[-1].item(), mean_exit[0].item(), _GRID, dtype=torch.float64)  # [grid]
    ascending = mean_exit.flip(0).contiguous()
    found = torch.searchsorted(ascending, costs).clamp(max=len(mean_exit) - 1)
    points: Tensor = torch.unique(len(mean_exit) - 1 - found)
    return points
