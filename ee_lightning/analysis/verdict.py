"""What the figures of a run say, in two sentences."""

from collections.abc import Mapping
from typing import Any

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.exits.bands import LEVEL, Bands
from ee_lightning.functional import Kind, percentile_interval
from ee_lightning.runs.figures import NAMED_SPEEDUPS

_COUNTING = ("voting", "patience")
"""Criteria that count exits which agree."""
_CORRELATIONS = ("matthews", "pearson")
_TRAIN = "Next: train longer or with other options: the full model is no better than one answer for all rows."


def verdict(found: Sweep, chosen: str | None = None) -> list[str]:
    """Say which criterion leads at twice the speed and by how much, why one that counts exits does not, and what next.

    Criteria with the same score lead together. Where no criterion is as fast, it is about the nearest named speed-up
    that one reaches.

    Args:
        found: The curves of a run.
        chosen: The run's operating point in words, such as "confidence at 0.9", if it has one.
    """
    metric = found.summary["metrics"][0]
    for speedup in sorted(NAMED_SPEEDUPS, key=lambda each: abs(each - 2)):
        scores = {
            name: by_metric[metric][f"score_at_{speedup:g}x"]
            for name, by_metric in found.summary["criteria"].items()
            if by_metric[metric][f"score_at_{speedup:g}x"] is not None
        }
        if scores:
            break
    else:
        return ["No criterion lets rows leave early on these exits."]
    best = max(scores, key=lambda name: scores[name])
    lost = 100 * (found.summary["full_model"][metric] - scores[best])
    against = f"{abs(lost):.1f} points {'below' if lost > 0 else 'above'} the full model"
    if abs(lost) < 0.05:
        against = "the same as the full model"
    leaders = [name for name in scores if 100 * (scores[best] - scores[name]) < 0.05]  # the same figure in the table
    others = sorted(scores.keys() - leaders, key=lambda name: scores[name], reverse=True)
    *more, last = leaders
    they = f"{', '.join(more)} and {last}" if more else last
    does = ("lead with" if more else "leads with") if others else ("have" if more else "has")
    first = f"At {speedup:g}x {they} {does} {100 * scores[best]:z.1f} % {metric.replace('_', ' ')}, {against}"
    following = _next(found, best, chosen) if _has_learnt(found) else _TRAIN
    if not others:
        return [f"{first}.", following]
    counting = [] if _counts(best) else [name for name in scores if name in others and _counts(name)]
    rival = (counting or others)[0]
    lead = 100 * (scores[best] - scores[rival])
    low, high = _interval(found, best, rival, speedup)
    behind = f"{rival} is {lead:z.1f} points behind (95 % interval {low:z.1f} to {high:z.1f})"
    if low <= 0:
        return [f"{first}; {behind}, which may be chance.", following]
    why = _why(rival, found.diagnostics) if counting else ""
    return [f"{first}; {behind}.", f"{why}{following}"]


def _counts(name: str) -> bool:
    return name.partition("(")[0] in _COUNTING


def _has_learnt(found: Sweep) -> bool:
    """Return whether the full model is better than one answer for all rows, where that can be said."""
    metric, labels = found.summary["metrics"][0], found.exits.labels
    if metric in _CORRELATIONS:
        return bool(found.summary["full_model"][metric] > 0)
    if metric != "accuracy" or labels is None or labels.is_floating_point() or labels.ndim > 1:
        return True
    return bool(found.summary["full_model"][metric] > labels.bincount().max().item() / len(labels))


def _interval(found: Sweep, best: str, rival: str, speedup: float) -> tuple[float, float]:
    """Return the ends of the interval, over rows, of the points by which one criterion is ahead of another."""
    metric, bands = found.summary["metrics"][0], Bands(found.exits)
    read = {
        each.name: bands.scores_at(curve, each, metric, [speedup])[:, 0]
        for curve, each in zip(found.curves, found.criteria, strict=False)
        if each.name in (best, rival)
    }
    return percentile_interval(100 * (read[best] - read[rival])[1:], LEVEL)


def _why(rival: str, diagnostics: Mapping[str, Any]) -> str:
    """Say what is known of why counting exits that agree tells little."""
    matrices = diagnostics.get("diversity")
    if matrices is None or len(matrices["double_fault"]["matrix"]) < 2:
        return ""
    agree, wrong = (1 - matrices["disagreement"]["matrix"][0][1], matrices["double_fault"]["matrix"][0][1])
    return (
        f"{rival} counts exits that agree, but the first two agree on {100 * agree:.0f} % of the rows, and both are "
        f"wrong on {100 * wrong:.0f} %: that they agree tells less here than how sure they are. "
    )


def _next(found: Sweep, best: str, chosen: str | None) -> str:
    if chosen:
        return f"Next: label rows at the operating point that was chosen, {chosen} (ee-lightning predict)."
    if found.exits.num_exits == 1:
        return "Next: train with more exits, for with one no row can leave early."
    if found.exits.target.kind is Kind.REGRESSION:
        return f"Next: read a threshold of {best} off curves.csv, and label rows with it (ee-lightning predict)."
    return f"Next: choose a threshold of {best} for the speed or the loss that you want (ee-lightning choose)."
