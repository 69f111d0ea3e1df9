"""Paired differences in points with intervals, as a table that tests their means over tasks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from decision_rules import Rows

from ee_lightning.analysis.comparison import Difference, mean_difference
from ee_lightning.errors import counted
from ee_lightning.functional import resample

RESAMPLES = 4000


@dataclass(frozen=True)
class MeanOfTasks(Difference):
    """A mean over several tasks, which a table tests."""


Cell = Difference | str


def paired(by_task: Sequence[Rows]) -> Cell:
    """Average differences of every row, as shares, ``[seeds, rows]`` of each task; a dash where one of them is NaN."""
    if any(np.isnan(by_seed).any() for by_seed in by_task):
        return "–"
    resampled = []
    for by_seed in by_task:
        drawn = resample(torch.from_numpy(by_seed.T), RESAMPLES, seed=0)
        resampled.append((drawn.weights.double() @ drawn.outcomes).T / by_seed.shape[1])  # [seeds, 1 + resamples]
    found = mean_difference(resampled)
    return MeanOfTasks(**asdict(found)) if len(by_task) > 1 else found


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
    """Write a difference with its interval."""
    return cell if isinstance(cell, str) else f"{cell.value:+.2f} ({cell.low:+.2f}, {cell.high:+.2f})"


def as_table(first: str, columns: Sequence[str], rows: dict[str, Sequence[Cell]]) -> str:
    """Write differences as a Markdown table, with a sentence that counts the means over tasks; nothing without rows."""
    if not rows:
        return ""
    means = [cell for cells in rows.values() for cell in cells if isinstance(cell, MeanOfTasks)]
    corrected = holm([each.p_value for each in means])
    certain = {id(cell) for cell, p in zip(means, corrected, strict=True) if p < 0.05}
    lines = [f"| {first} | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    for name, cells in rows.items():
        shown = [f"{spelt(cell)}{'*' * (id(cell) in certain)}" for cell in cells]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    above = sum(cell.value > 0 for cell in means if id(cell) in certain)
    told = f"Significant among {counted(len(means), 'mean')}: {above} above 0, {len(certain) - above} below."
    return "\n".join([*lines, "", told] if means else lines)
