"""A threshold of its own for every exit, by coordinate ascent."""

import numpy as np
from numpy.typing import NDArray

from ee_lightning.functional.schedules.line import line
from ee_lightning.functional.schedules.paths import LEVELS, Calibration, Floats, nested

PRICES = np.geomspace(0.02, 1.5, 10)
"""What all layers of a row may cost, in right rows."""
MOST_SWEEPS = 12
_FARTHEST, _CLOSE = 4.0, 1e-3


def free(calibration: Calibration, strength: float) -> Floats:
    r"""Fit each exit's threshold alone, in turns, held near a line in depth.

    For a price :math:`\mu` of all layers the thresholds maximise, over the n rows, the right ones less :math:`\mu`
    times the share of the layers that run, less :math:`\lambda n \sum_m (u_m - l_m)^2`. The u are the thresholds on a
    scale on which the scores are normal, and the l those of `line` that are best at this price. Every turn sets one
    threshold to its best value given the others, exactly. Prices from high to low make the path; where a threshold
    would fall from one to the next it stays, so that it is monotone in the budget.

    Args:
        calibration: The rows.
        strength: The :math:`\lambda`: by how much of the rows a threshold that is one standard deviation away pays.
    """
    path = line(calibration)
    cost, right = calibration.outcome(path)
    targets = calibration.scale.to_normal(path).clip(-_FARTHEST, _FARTHEST)  # [levels, early exits]
    found = []
    for price in PRICES[::-1]:
        target = targets[np.argmax(right - price * cost)]
        found.append(ascend(calibration.normal_scores, calibration.values(price), target, strength))
    return calibration.scale.to_scores(_between(nested(np.stack(found))))


def _between(path: Floats) -> Floats:
    """Add levels between those of a path, [levels, early exits], linearly."""
    places = np.linspace(0, len(path) - 1, LEVELS)
    return np.stack([np.interp(places, np.arange(len(path)), levels) for levels in path.T], axis=1)


def ascend(scores: Floats, values: Floats, target: Floats, strength: float) -> Floats:
    """Return thresholds [early exits] at which no single one can be improved, from a target on.

    Args:
        scores: Of shape [early exits, rows].
        values: What leaving at each exit is worth, of shape [exits, rows].
        target: Where the thresholds are held, of shape [early exits].
        strength: How firmly.
    """
    orders = np.argsort(-scores, axis=1, kind="stable")  # [early exits, rows]
    thresholds, before = target.copy(), np.full_like(target, np.nan)
    for _ in range(MOST_SWEEPS):
        if np.array_equal(thresholds, before):
            break
        before = thresholds.copy()
        best = np.maximum.accumulate(scores >= thresholds[:, None], axis=0)  # [early exits, rows]
        arrives = np.concatenate([np.ones_like(best[:1]), ~best[:-1]])  # [early exits, rows]
        later = values[-1]  # [rows]: what staying is worth
        for m in range(len(thresholds) - 1, -1, -1):
            order = orders[m][arrives[m][orders[m]]]  # [arriving rows], the surest first
            gains = (values[m] - later)[order]
            thresholds[m] = _best(scores[m][order], gains, thresholds[m], target[m], strength * scores.shape[1])
            later = np.where(scores[m] >= thresholds[m], values[m], later)
    return thresholds


def _best(scores: Floats, gains: Floats, now: float, target: float, penalty: float) -> float:
    """Return the best threshold of an exit, at which rows [arriving] with scores that fall gain by leaving.

    Between two neighbouring scores no row moves: there it is as near to the target as can be.
    """
    if len(scores) == 0:
        return now
    above = np.concatenate([[np.inf], scores])  # a threshold lets the first k rows leave where it is in
    below = np.concatenate([scores, [-np.inf]])  # (below[k], above[k]]
    with np.errstate(invalid="ignore"):  # between two that are minus infinity
        gap = np.where(np.isfinite(above - below), (above - below) / 4, _CLOSE)
    places: Floats = np.clip(target, below + gap, above - gap)
    total = np.concatenate([[0.0], gains.cumsum()]) - penalty * (places - target) ** 2
    is_cut: NDArray[np.bool_] = above > below
    return float(places[np.where(is_cut, total, -np.inf).argmax()])
