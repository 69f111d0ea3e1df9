"""Many runs in tables for a paper, and in a picture."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ee_lightning.analysis.comparison import FIGURES, FULL_MODEL, by_configuration
from ee_lightning.analysis.significance import SPEEDUPS, Place, Scored, best_of, of_task
from ee_lightning.exits import Curve
from ee_lightning.exits.drawing import lay_out, mean_curve
from ee_lightning.reporting.layout import Table, Text, latex_table, markdown_table
from ee_lightning.reporting.plots import STYLES

Methods = Mapping[Place, Mapping[int, Scored]]
_BOLD = "Bold: better than every other row of the task, p < 0.05, paired over seeds and 200 resamples of the rows."


def run_tables(table: pd.DataFrame, methods: Methods, asked: str | None = None) -> Iterator[Table]:
    """Lay out what `compare` returns, a table a task and split: a row a configuration and criterion, in percent.

    Args:
        table: Of all runs.
        methods: Their scores on resamples, which tell what stands in bold; nothing does for other metrics than the
            first, or where a criterion of the table has none.
        asked: The metric; None takes each task's first.
    """
    for (task, split), rows in table.groupby(["task", "split"], sort=False):
        first = rows["metric"].iloc[0]
        metric = asked or first
        by_place = {
            (task, split, configuration, row["criterion"]): row
            for configuration, of_one in by_configuration(rows[rows["metric"] == metric])
            for row in of_one.to_dict("records")
        }
        best = {}
        if metric == first and all(place in methods for place in by_place if place[3] != FULL_MODEL):
            best = {f"{speedup:g}x": best_of(of_task(methods, task, split), speedup) for speedup in SPEEDUPS}
        if lines := [_line(row, place, best) for place, row in by_place.items()]:
            heads = ["run", "criterion", "seeds", *(head if head == "area" else f"at {head}" for head in FIGURES)]
            title = f"{task} {split}: {metric} (%) by speed-up by layers, mean ± sample standard deviation over seeds"
            yield Table(f"{task}-{split}", title, [(head, "") for head in heads], lines)


def _line(row: Mapping[str, Any], place: Place, best: Mapping[str, Place | None]) -> list[Text]:
    cells = [
        Text(_figure(row[name], row[f"{name}_std"]), is_best=best.get(head) == place) for head, name in FIGURES.items()
    ]
    return [Text(place[2]), Text(place[3]), Text(str(row["runs"])), *cells]


def _figure(mean: float, deviation: float) -> str:
    if pd.isna(mean):
        return "–"
    return f"{100 * mean:z.1f}" if pd.isna(deviation) else f"{100 * mean:z.1f} ± {100 * deviation:.1f}"


def as_markdown(tables: Sequence[Table]) -> str:
    """Write tables as Markdown, each below its title."""
    parts = [part for table in tables for part in (f"## {table.title}", markdown_table(table))]
    return "\n\n".join([*parts, _BOLD]) + "\n"


def as_latex(tables: Sequence[Table]) -> str:
    """Write tables as LaTeX to be included; the packages booktabs and graphicx are needed."""
    return "\n".join([f"% {_BOLD}", *map(latex_table, tables)])


def draw_runs(
    lines: Mapping[tuple[str, str], Mapping[str, Sequence[Curve]]], metrics: Mapping[tuple[str, str], str]
) -> Figure:
    """Draw configurations side by side, on axes for each task and split: the mean over seeds, with one deviation.

    Args:
        lines: By task and split, then by what a line is called, the curves of its seeds.
        metrics: The score, by task and split.
    """
    figure = Figure(figsize=(8, 4.4 * len(lines)), dpi=150, layout="constrained")
    for axes, (place, by_name) in zip(figure.subplots(len(lines), squeeze=False).flat, lines.items(), strict=True):
        for (name, curves), style in zip(by_name.items(), cycle(STYLES), strict=False):
            speedups, scores = mean_curve(curves, metrics[place])  # [points], [seeds, points]
            mean = scores.mean(0)
            axes.plot(speedups, mean, style, linewidth=1.6, label=f"{name} (n={len(curves)})")
            if len(curves) > 1:
                deviation = scores.std(0, ddof=1)
                color = style.rstrip("-:")
                axes.fill_between(speedups, mean - deviation, mean + deviation, color=color, alpha=0.14, linewidth=0)
        lay_out(axes, max(curve.num_layers for curves in by_name.values() for curve in curves), metrics[place])
        axes.set_title(" ".join(place), loc="left", fontsize="medium", fontweight="bold")
        axes.legend(loc="lower left", fontsize="small", frameon=False)
    return figure
