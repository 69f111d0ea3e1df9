"""Many runs in one table: a row a configuration and criterion, with mean and deviation over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from ee_lightning.runs.figures import NAMED_SPEEDUPS

FIGURES = {f"{speedup:g}x": f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS} | {"area": "area"}
"""The headings of the figures that runs are compared by, and their names in ``summary.json``."""
FULL_MODEL = "full model"


@dataclass(frozen=True)
class ComparedRun:
    """A run that is to be compared with others.

    Attributes:
        name: Its name, which runs share that are to be told apart by their options.
        options: Its options, by dotted names, without its seed.
        summary: Its figures, by split, as in ``summary.json``.
    """

    name: str
    options: Mapping[str, str]
    summary: Mapping[str, Mapping[str, Any]]


def compare(runs: Sequence[ComparedRun]) -> pd.DataFrame:
    """Compare runs: those of the same task, name and options are taken for seeds of one configuration.

    Args:
        runs: The runs.

    Returns:
        A row a configuration, criterion (or full model), split and metric: ``task``, ``split``, ``metric``, ``run``, a
        column for each option in which runs of one name differ, ``criterion``, ``runs`` (how many), and for each of
        `FIGURES` the mean and, as ``<figure>_std``, the sample standard deviation; empty where a run lacks the figure,
        or where one run deviates from none.
    """
    varied = {name: _varied([run.options for run in runs if run.name == name]) for name in {run.name for run in runs}}
    found = [
        {
            **{"task": summary["task"], "split": split, "metric": metric, "run": run.name, "criterion": criterion},
            **{option: run.options.get(option, "") for option in varied[run.name]},
            **figures,
        }
        for run in runs
        for split, summary in run.summary.items()
        for metric in summary["metrics"]
        for criterion, figures in _rows(summary, metric).items()
    ]
    of_any = sorted({option for names in varied.values() for option in names})
    about, figures = ["task", "split", "metric", "run", *of_any, "criterion"], list(FIGURES.values())
    return over_seeds(pd.DataFrame(found, columns=[*about, *figures]), about, figures)


def over_seeds(rows: pd.DataFrame, about: list[str], figures: list[str]) -> pd.DataFrame:
    """Average figures over seeds.

    Args:
        rows: A row a seed.
        about: The columns in which the seeds of a row of the result agree.
        figures: The columns to average.

    Returns:
        The columns ``about``, ``runs`` (how many), and for each figure its mean and, as ``<figure>_std``, its sample
        standard deviation; empty where a seed lacks the figure, or where one seed deviates from none.
    """
    of_seeds = rows.astype(dict.fromkeys(figures, float)).groupby(about, sort=False, dropna=False)
    statistics = {"runs": of_seeds.size()}
    for figure in figures:
        statistics[figure] = of_seeds[figure].agg(lambda values: values.mean(skipna=False))
        statistics[f"{figure}_std"] = of_seeds[figure].agg(lambda values: values.std(skipna=False))
    return pd.DataFrame(statistics).reset_index()


def print_comparison(table: pd.DataFrame) -> None:
    """Print a comparison for a terminal of 80 columns: the primary metric of every task, in percent.

    Args:
        table: What `compare` returns.
    """
    console = Console(width=80, highlight=False, markup=False)
    for (task, split), rows in table.groupby(["task", "split"], sort=False):
        metric = rows["metric"].iloc[0]
        console.print(f"\n{task} {split}: {metric} (%) by speed-up, mean±deviation over seeds")
        console.print(_table(rows[:0], show_header=True))
        for configuration, of_one in _by_configuration(rows[rows["metric"] == metric]):
            console.print(configuration, _table(of_one, show_header=False), sep="\n")


def _varied(options: Sequence[Mapping[str, str]]) -> list[str]:
    """Name the options in which some differ."""
    names = dict.fromkeys(name for each in options for name in each)
    return [name for name in names if len({each.get(name) for each in options}) > 1]


def _rows(summary: Mapping[str, Any], metric: str) -> dict[str, Mapping[str, float | None]]:
    full = {FULL_MODEL: {FIGURES["1x"]: summary["full_model"][metric]}}
    return {criterion: by_metric[metric] for criterion, by_metric in summary["criteria"].items()} | full


def _by_configuration(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Return the rows of each configuration, and what to call it."""
    configuration = list(rows.columns[3 : rows.columns.get_loc("criterion")])
    for (name, *options), of_one in rows.groupby(configuration, sort=False, dropna=False):
        varied = [
            f"{option.rpartition('.')[2]} {value}"
            for option, value in zip(configuration[1:], options, strict=True)
            if isinstance(value, str)
        ]
        number = of_one["runs"].iloc[0]
        yield f"{', '.join([name, *varied])} ({number} {'run' if number == 1 else 'runs'})", of_one


def _table(rows: pd.DataFrame, *, show_header: bool) -> Table:
    table = Table("criterion", box=None, show_header=show_header, padding=(0, 0, 0, 1))
    table.columns[0].width = 80 - len(FIGURES) * 10 - 1
    for heading in FIGURES:
        table.add_column(heading, justify="right", width=9)
    for row in rows.to_dict("records"):
        table.add_row(f" {row['criterion']}", *(_cell(row[name], row[f"{name}_std"]) for name in FIGURES.values()))
    return table


def _cell(mean: float, deviation: float) -> str:
    if pd.isna(mean):
        return ""
    return f"{100 * mean:.1f}" if pd.isna(deviation) else f"{100 * mean:.1f}±{100 * deviation:.1f}"
