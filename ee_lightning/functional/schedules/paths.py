"""Paths of thresholds: what they are fitted on, what they cost, and what they score."""

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""A path is thresholds of shape [levels, early exits], from fast to slow: no threshold falls from level to level. Exit
m lets a row leave at a level where the row's score is at least the level's threshold of m; an infinite one lets none
leave. Early exits are all but the last."""

LEVELS = 96
"""How many operating points a path has at most, beside the first exit alone and the full depth."""
_KNOTS = 257


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows to fit on.

    Attributes:
        scores: What a criterion says after each exit but the last, of shape [early exits, rows].
        right: 1 where what it predicts there is right, else 0, of shape [exits, rows]; the last exit's is of the rows
            that reach it.
        costs: The share of the layers that run up to each exit, ascending to 1, of shape [exits].
    """

    scores: Floats
    right: Floats
    costs: Floats

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.right[0])

    def select(self, rows: NDArray[np.bool_]) -> "Calibration":
        """Keep some rows."""
        return Calibration(self.scores[:, rows], self.right[:, rows], self.costs)

    @cached_property
    def depths(self) -> Floats:
        """Where each early exit stands between the first, at 0, and the last of them, at 1, of shape [early exits]."""
        early = self.costs[:-1]
        depths: Floats = (early - early[0]) / max(early[-1] - early[0], early[0])
        return depths

    @cached_property
    def scale(self) -> "NormalScale":
        """A scale on which the scores of all rows and early exits together are normal."""
        return NormalScale.of(self.scores)

    @cached_property
    def normal_scores(self) -> Floats:
        """The scores on that scale, of shape [early exits, rows]."""
        return self.scale.to_normal(self.scores)

    def values(self, price: float) -> Floats:
        """Return what it is worth to leave at each exit when all layers cost a price, of shape [exits, rows]."""
        return self.right - price * self.costs[:, None]

    def outcome(self, path: Floats) -> tuple[Floats, Floats]:
        """Return the mean cost and the share of right rows at every level of a path, of shape [levels] each."""
        reached = np.stack(
            [np.searchsorted(levels, scores, side="right") for levels, scores in zip(path.T, self.scores, strict=True)]
        )  # [early exits, rows]: a row leaves there at so many levels, the fastest ones
        return self._outcome(reached, len(path))

    def sweep(self, scores: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
        """Return the same where other scores [early exits, rows] meet one threshold for all exits, [levels]."""
        return self._outcome(np.searchsorted(thresholds, scores, side="right"), len(thresholds))

    def _outcome(self, reached: NDArray[np.intp], num_levels: int) -> tuple[Floats, Floats]:
        # At level k a row has left by exit m where k < best[m]. A sum over rows of any value at their exits telescopes
        # into steps between neighbouring exits, each of which counts at the first best[m] levels.
        best = np.maximum.accumulate(reached, axis=0)  # [early exits, rows]
        costs = np.broadcast_to((self.costs[:-1] - self.costs[1:])[:, None], best.shape)
        steps = (costs, self.right[:-1] - self.right[1:])  # [early exits, rows] each
        at_last = (self.costs[-1] * self.num_rows, self.right[-1].sum())
        totals = []
        for step, start in zip(steps, at_last, strict=True):
            by_level = np.bincount(best.ravel(), weights=step.ravel(), minlength=num_levels + 1)  # [levels + 1]
            totals.append(start + by_level[::-1].cumsum()[-2::-1])  # [levels]
        cost, right = (total / self.num_rows for total in totals)
        return cost, right


@dataclass(frozen=True, eq=False)
class NormalScale:
    """A piecewise linear map, rising, from scores to those of a standard normal distribution."""

    scores: Floats
    normal: Floats

    @classmethod
    def of(cls, scores: Floats) -> "NormalScale":
        """Make the one on which these scores, of any shape, are normal; equal ones share their mean rank."""
        ordered = np.sort(scores[np.isfinite(scores)])
        if len(ordered) == 0:
            ordered = np.zeros(1)
        knots = np.unique(ordered[np.linspace(0, len(ordered) - 1, _KNOTS).round().astype(int)])
        ranks = np.searchsorted(ordered, knots, "left") + np.searchsorted(ordered, knots, "right")
        shares = ranks / (2 * len(ordered))
        return cls(knots, np.array([NormalDist().inv_cdf(share) for share in shares]))

    def to_normal(self, scores: Floats) -> Floats:
        """Map scores; those beyond the ends are as those at the ends, and minus infinity stays below them all."""
        mapped = np.interp(scores, self.scores, self.normal)
        return np.where(np.isneginf(scores), -np.inf, mapped)

    def to_scores(self, normal: Floats) -> Floats:
        """Map thresholds back: what lies above all scores lets no sample leave, what lies below them all."""
        mapped = np.interp(normal, self.normal, self.scores)
        beyond = np.where(normal > self.normal[-1], np.inf, np.where(normal < self.normal[0], -np.inf, 0))
        return np.where(beyond == 0, mapped, beyond)


def nested(thresholds: Floats) -> Floats:
    """Make thresholds [levels, early exits] a path: let none fall from one level to the next slower one."""
    return np.maximum.accumulate(thresholds, axis=0)


def best_by_cost(calibration: Calibration, path: Floats, costs: Floats) -> Floats:
    """Read the share of right rows of a path at some costs, [costs], between neighbouring levels linearly.

    The first exit alone and the full depth belong to every path.
    """
    cost, right = calibration.outcome(path)
    cost = np.concatenate([calibration.costs[:1], cost, calibration.costs[-1:]])
    right = np.concatenate([[calibration.right[0].mean()], right, [calibration.right[-1].mean()]])
    order = np.argsort(cost, kind="stable")
    return np.interp(costs, cost[order], right[order])


def even_costs(calibration: Calibration) -> Floats:
    """Return costs that lie evenly between the first exit's and the full depth's, [levels]."""
    return np.linspace(calibration.costs[0], calibration.costs[-1], LEVELS + 2)[1:-1]
