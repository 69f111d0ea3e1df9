"""Paired differences in points, with intervals by the bootstrap, corrected for their number, and as a table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from decision_rules import Rows
from scipy.stats import norm
from scipy.stats import t as student

from ee_lightning.errors import counted

RESAMPLES = 4000


class Difference(NamedTuple):
    """A mean of paired differences in points, with its interval and its p-value."""

    mean: float
    low: float
    high: float
    p: float


Cell = Difference | str


def paired(by_seed: Rows) -> Cell:
    """Compare by differences in points of every row, ``[seeds, rows]``; a dash where one of them is NaN.

    Few seeds are allowed for in three ways. Each resample has one seed fewer than there are (Rao and Wu 1988,
    doi:10.1080/01621459.1988.10478591). The p-value is of a t-test, whose degrees of freedom are the fewer, the more of
    the variance is between seeds (Satterthwaite 1946, doi:10.2307/3002019). And the interval takes the percentiles
    that the same t has under a normal distribution (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).
    """
    if np.isnan(by_seed).any():
        return "–"
    (seeds, rows), drawn = by_seed.shape, np.random.default_rng(0)
    fewer = max(seeds - 1, 1)
    of_seeds = drawn.multinomial(fewer, np.full(seeds, 1 / seeds), RESAMPLES) / fewer  # [resamples, seeds]
    of_rows = drawn.multinomial(rows, np.full(rows, 1 / rows), RESAMPLES) / rows  # [resamples, rows]
    means = ((of_seeds @ by_seed) * of_rows).sum(1)
    mean, variance = by_seed.mean().item(), means.var()
    if variance == 0:
        return Difference(mean, mean, mean, float(mean == 0))
    between = by_seed.mean(1).var(ddof=1) / seeds if seeds > 1 else 0.0
    freedom = (seeds - 1) * (variance / between) ** 2 if between > 0 else np.inf
    low, high = np.percentile(means, 100 * norm.cdf(student.interval(0.95, freedom)))
    return Difference(mean, float(low), float(high), float(2 * student.sf(abs(mean) / variance**0.5, freedom)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's method.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected


def spelt(cell: Cell) -> str:
    """Write a difference with its interval; a table doesn't test it if this is given in its place."""
    return cell if isinstance(cell, str) else f"{cell.mean:+.2f} ({cell.low:+.2f}, {cell.high:+.2f})"


def as_table(first: str, columns: Sequence[str], rows: dict[str, Sequence[Cell]]) -> str:
    """Write differences as a Markdown table, with a sentence that counts them where there are some."""
    known = [cell for cells in rows.values() for cell in cells if isinstance(cell, Difference)]
    certain = {id(cell) for cell, p in zip(known, holm([each.p for each in known]), strict=True) if p < 0.05}
    lines = [f"| {first} | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    for name, cells in rows.items():
        shown = [f"{spelt(cell)}{'*' * (id(cell) in certain)}" for cell in cells]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    above = sum(cell.mean > 0 for cell in known if id(cell) in certain)
    told = f"Significant among {counted(len(known), 'difference')}: {above} above 0, {len(certain) - above} below."
    return "\n".join([*lines, "", told] if known else lines)
