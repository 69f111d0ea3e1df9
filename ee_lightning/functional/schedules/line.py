"""Thresholds that fall in depth along a line, or a parabola; without a slope one threshold for all exits."""

import numpy as np

from ee_lightning.functional.schedules.paths import Calibration, Floats, even_costs, nested

SLOPES = np.linspace(-1, 4, 11)
"""By how much the threshold falls from the first to the last early exit, on the normal scale of the scores."""
_WIDTH = 0.08
"""Over what share of the layers neighbouring budgets are averaged before the best slope is looked for."""
_LEANING = 1e-6


def equal_thresholds(calibration: Calibration) -> Floats:
    """Return the path of one threshold for all exits."""
    return _along(calibration, np.zeros_like(calibration.depths), np.zeros(1))


def line(calibration: Calibration, power: float = 1.0) -> Floats:
    r"""Fit, for every budget, thresholds that fall along a line: two numbers.

    On a scale on which the scores are normal, the threshold of exit m is :math:`a - c\,x_m^p`, with :math:`x_m` from 0
    at the first exit to 1 at the last early one. For a slope c the thresholds a sweep out a whole curve, exactly, as
    the scores plus :math:`c\,x_m^p` meet one threshold. At every budget the slope is the one with most rows right,
    averaged over budgets nearby; of equal ones the flattest.

    Args:
        calibration: The rows.
        power: The p, 1 for a line, 2 for a parabola, whose thresholds fall most at the deepest exits.
    """
    return _along(calibration, calibration.depths**power, SLOPES)


def _along(calibration: Calibration, shape: Floats, slopes: Floats) -> Floats:
    budgets = even_costs(calibration)
    right, starts = zip(*(_swept(calibration, slope * shape, budgets) for slope in slopes), strict=True)
    nearby = np.exp(-0.5 * ((budgets[:, None] - budgets) / _WIDTH) ** 2)  # [levels, levels]
    averaged = np.stack(right) @ (nearby / nearby.sum(0)) - _LEANING * abs(slopes)[:, None]  # [slopes, levels]
    best = averaged.argmax(0)  # [levels]
    start = np.stack(starts)[best, np.arange(len(budgets))]  # [levels]
    return nested(calibration.scale.to_scores(start[:, None] - slopes[best][:, None] * shape))


def _swept(calibration: Calibration, fall: Floats, budgets: Floats) -> tuple[Floats, Floats]:
    """Return the share of right rows and the threshold of the first exit at every budget, [levels] each."""
    lifted = calibration.normal_scores + fall[:, None]  # [early exits, rows]
    top = np.maximum.accumulate(lifted, axis=0)
    grid = np.unique(np.quantile(top[np.isfinite(top)], np.linspace(0, 1, 4 * len(budgets)))) if top.size else fall
    grid = np.concatenate([grid[:1] - 1, grid, grid[-1:] + 1])  # at the ends all leave at once, or none
    cost, right = calibration.sweep(lifted, grid)  # ascending in cost
    return np.interp(budgets, cost, right), np.interp(budgets, cost, grid)
