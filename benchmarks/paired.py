"""Paired differences in points, with intervals by the bootstrap, corrected for their number, and as a table."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from decision_rules import Rows

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
    """Compare by differences in points of every row, ``[seeds, rows]``; a dash where one of them is NaN."""
    if np.isnan(by_seed).any():
        return "–"
    (seeds, rows), drawn = by_seed.shape, np.random.default_rng(0)
    of_seeds = drawn.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds  # [resamples, seeds]
    of_rows = drawn.multinomial(rows, np.full(rows, 1 / rows), RESAMPLES) / rows  # [resamples, rows]
    means = ((of_seeds @ by_seed) * of_rows).sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    mean, error = by_seed.mean().item(), means.std()
    p_value = 2 * NormalDist().cdf(-abs(mean) / error) if error > 0 else float(mean == 0)
    return Difference(mean, float(low), float(high), p_value)


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
