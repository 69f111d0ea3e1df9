"""Which family of thresholds suits the calibration rows, by cross-validation among these alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from ee_lightning.functional.schedules.free import free
from ee_lightning.functional.schedules.line import equal_thresholds, line
from ee_lightning.functional.schedules.paths import Calibration, Floats, best_by_cost, even_costs
from ee_lightning.functional.schedules.shares import shares

Family = Callable[[Calibration], Floats]
FOLDS = 5
FEWEST = 20
"""Of how many rows on thresholds are fitted that differ from exit to exit."""

FAMILIES: Mapping[str, Mapping[str, Family]] = {
    "equal": {"equal": equal_thresholds},
    "line": {"line": line, "parabola": partial(line, power=2.0)},
    "shares": {"shares": shares},
    "free": {f"free({strength:g})": partial(free, strength=strength) for strength in (0.1, 0.01)},
}
"""The members of every family, simple ones first; they differ in shape or strength."""
_FEW_NUMBERS = ("equal", "line")
"""Families whose thresholds depend on two numbers at most, so that few rows tell them."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Thresholds for every budget, from fast to slow.

    Attributes:
        member: The member of a family that they are of.
        budgets: The mean share of the layers that run on the calibration rows at every level, rising from the first
            exit's to 1, of shape [levels + 1].
        thresholds: Of every level but the first, at which all leave at the first exit; of shape [levels, early exits].
        scores: What each member that was tried is worth: the mean share of right rows over all budgets, of rows that it
            was not fitted on; NaN where there was no choice.
    """

    member: str
    budgets: Floats
    thresholds: Floats
    scores: Mapping[str, float]


def fit_schedule(calibration: Calibration, family: str | None = None) -> Schedule:
    """Fit thresholds for every budget.

    Args:
        calibration: The rows.
        family: The family, a key of `FAMILIES`; None for whichever is best. Members of it, or of them all, are compared
            by cross-validation among the rows; of equal ones the simplest is taken. None takes one of "shares" or
            "free" only where it beats "equal" and "line" by more than the standard error of that difference over the
            folds; below 20 rows it is "equal".
    """
    if len(calibration.scores) == 0:
        return Schedule("equal", calibration.costs, np.empty((0, 0)), {})
    candidates = [*FAMILIES] if calibration.num_rows >= FEWEST else ["equal"]
    families = candidates if family is None else [family]
    members = {name: fit for each in families for name, fit in FAMILIES[each].items()}
    if len(members) == 1:
        member = next(iter(members))
        return _levels(calibration, member, members[member](calibration), {member: np.nan})
    by_fold = _compared(calibration, members)
    scores = {name: of_folds.mean().item() for name, of_folds in by_fold.items()}
    simple = [name for each in families if each in _FEW_NUMBERS for name in FAMILIES[each]]
    best = max(simple or members, key=lambda name: scores[name])
    gains = {name: of_folds - by_fold[best] for name, of_folds in by_fold.items()}  # [folds] each
    surer = [best, *(name for name, gain in gains.items() if gain.mean() > gain.std(ddof=1) / len(gain) ** 0.5)]
    best = max(surer, key=lambda name: scores[name])
    return _levels(calibration, best, members[best](calibration), scores)


def _compared(calibration: Calibration, members: Mapping[str, Family]) -> dict[str, Floats]:
    """Return what each member is worth on the rows of every fold, [folds], of which it saw the others."""
    fold = np.random.default_rng(0).permutation(calibration.num_rows) % min(FOLDS, calibration.num_rows)  # [rows]
    budgets = even_costs(calibration)
    scores: dict[str, list[float]] = {name: [] for name in members}
    for number in range(fold.max() + 1):
        fitted_on, held_out = calibration.select(fold != number), calibration.select(fold == number)
        for name, fit in members.items():
            scores[name].append(best_by_cost(held_out, fit(fitted_on), budgets).mean())
    return {name: np.array(of_folds) for name, of_folds in scores.items()}


def _levels(calibration: Calibration, member: str, path: Floats, scores: Mapping[str, float]) -> Schedule:
    """Keep the levels of a path that differ in cost, the first exit and the full depth beside them."""
    single = path.astype(np.float32).astype(np.float64)  # as they are kept, so that budgets are those of them
    cost, _ = calibration.outcome(single)  # [levels]
    fastest, slowest = calibration.costs[0], calibration.costs[-1]
    differs = (np.diff(cost, prepend=fastest) > 0) & (cost > fastest) & (cost < slowest)  # [levels]
    nobody = np.full((1, path.shape[1]), np.inf)
    budgets = np.concatenate([[fastest], cost[differs], [slowest]])
    return Schedule(member, budgets, np.concatenate([single[differs], nobody]), scores)
