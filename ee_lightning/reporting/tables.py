"""The table a run ends with, for a terminal of 80 columns."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ee_lightning.reporting.summary import NAMED_SPEEDUPS


def summary_table(title: str, summary: Mapping[str, Any]) -> Group:
    """Lay out a split's figures: one row a criterion, the full model and the oracle beside them, scores in percent.

    Args:
        title: What was evaluated.
        summary: The figures from :func:`ee_lightning.reporting.summary.summarise`.
    """
    metric = summary["metrics"][0]
    names = [f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS] + ["area"]
    table = Table(title=f"{title}: {metric} in % at a speed-up of", title_justify="left")
    table.add_column("criterion")
    for heading in [f"{speedup:g}x" for speedup in NAMED_SPEEDUPS] + ["area"]:
        table.add_column(heading, justify="right")
    for criterion, by_metric in summary["criteria"].items():
        table.add_row(criterion, *(_percent(by_metric[metric][name]) for name in names))
    table.add_section()
    oracle = summary["oracle"]
    table.add_row("full model", _percent(summary["full_model"][metric]))
    table.add_row(f"oracle, {oracle['speedup']:.2f}x", _percent(oracle[metric]))
    exits = "  ".join(f"{exit_layer}: {_percent(score)}" for exit_layer, score in enumerate(summary["exits"][metric], 1))
    return Group(table, Text(f"every exit alone  {exits}"))


def _percent(score: float | None) -> str:
    return "–" if score is None else f"{100 * score:.1f}"
