"""Many runs in one table: a row a configuration and criterion, with mean and deviation over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ee_lightning.errors import counted
from ee_lightning.functional import percentile_interval, resample, weighted_scores
from ee_lightning.runs.figures import NAMED_SPEEDUPS

FIGURES = {f"{speedup:g}x": f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS} | {"area": "area"}
"""The headings of the figures that runs are compared by, and their names in ``summary.json``."""
RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class ComparedRun:
    """A run that is to be compared with others, which its options, by dotted names, tell apart from those of its name.

    The options are without the seed; the figures of ``summary`` are by split, as in ``summary.json``.
    """

    name: str
    options: Mapping[str, str]
    summary: Mapping[str, Mapping[str, Any]]


def compare(runs: Sequence[ComparedRun]) -> pd.DataFrame:
    """Compare runs: those of the same task, name and options are taken for seeds of one configuration.

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
    """Average the columns ``figures`` over seeds, a row each, which agree in the columns ``about``; see `compare`."""
    of_seeds = rows.astype(dict.fromkeys(figures, float)).groupby(about, sort=False, dropna=False)
    statistics = {"runs": of_seeds.size()}
    for figure in figures:
        statistics[figure] = of_seeds[figure].agg(lambda values: values.mean(skipna=False))
        statistics[f"{figure}_std"] = of_seeds[figure].agg(lambda values: values.std(skipna=False))
    return pd.DataFrame(statistics).reset_index()


def print_comparison(table: pd.DataFrame, asked: str | None = None) -> None:
    """Print what `compare` returns in 80 columns, in percent: the metric that is asked for, or every task's first."""
    console = Console(width=80, highlight=False, markup=False)
    for (task, split), rows in table.groupby(["task", "split"], sort=False):
        metric = asked or rows["metric"].iloc[0]
        if metric not in rows["metric"].array:
            continue
        console.print(f"\n{task} {split}: {metric} (%) by speed-up, mean±deviation over seeds")
        console.print(_table(rows[:0], show_header=True))
        for configuration, of_one in _by_configuration(rows[rows["metric"] == metric]):
            console.print(configuration, _table(of_one, show_header=False), sep="\n")


def _varied(options: Sequence[Mapping[str, str]]) -> list[str]:
    """Name the options in which some differ."""
    names = dict.fromkeys(name for each in options for name in each)
    return [name for name in names if len({each.get(name) for each in options}) > 1]


def _rows(summary: Mapping[str, Any], metric: str) -> dict[str, Mapping[str, float | None]]:
    full = {"full model": {FIGURES["1x"]: summary["full_model"][metric]}}
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
        yield f"{', '.join([name, *varied])} ({counted(of_one['runs'].iloc[0], 'run')})", of_one


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


@dataclass(frozen=True)
class Difference:
    """By how much a row scores above another, in points.

    Attributes:
        value: The mean over seeds.
        low: The lower end of the 95 % bootstrap interval.
        high: The upper end.
        p_value: Of the two-sided paired bootstrap test.
        num_seeds: Number of seeds that both rows have.
        num_ahead: For how many of these seeds it scores above.
    """

    value: float
    low: float
    high: float
    p_value: float
    num_seeds: int
    num_ahead: int


def bootstrap_differences(
    tested: Sequence[Tensor],
    other: Sequence[Tensor],
    *,
    labels: Tensor,
    metric: str,
    num_classes: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Tensor:
    """Resample a data set, and score both rows on the same resamples, seed by seed.

    Args:
        tested: The predictions of a row for each seed, each of shape [samples].
        other: Those of the other row for the same seeds.
        labels: True class numbers, or values for regression, of shape [samples].
        metric: The score.
        num_classes: Number of classes; 1 for regression.
        seed: Of the resamples.
        resamples: Number of resamples.

    Returns:
        Differences of the scores, as shares: first on the data themselves, then on every resample, in float64, of
        shape [seeds, 1 + resamples].
    """
    drawn = resample(torch.stack([labels, *tested, *other], dim=-1), resamples, seed)
    weights = drawn.weights  # [1 + resamples, distinct]
    true, *said = drawn.outcomes.unbind(-1)  # [distinct] each
    scores = torch.stack(
        [weighted_scores(predictions, true, weights, metric, num_classes) for predictions in said]
    )  # [2 * seeds, 1 + resamples]
    first, second = scores.chunk(2)
    return first - second


def mean_difference(differences: Sequence[Tensor]) -> Difference:
    """Average differences, for each seed on the data and on every resample, [1 + resamples], and test them.

    Each resample draws as many seeds as there are, with replacement, beside its samples: runs of both rows stay paired
    by their seed.

    The p-value is twice the smaller of two shares, of the resamples in which the mean over seeds is 0 or below and of
    those in which it is 0 or above, each with one more on both sides of the fraction, as the data count themselves; at
    most 1.
    """
    by_seed = torch.stack(list(differences))  # [seeds, 1 + resamples]
    on_data, of_resamples = 100 * by_seed[:, 0].mean().item(), by_seed[:, 1:]  # [seeds, resamples]
    generator = torch.Generator().manual_seed(0)
    seeds = torch.randint(len(by_seed), of_resamples.shape, generator=generator)  # [seeds, resamples]
    drawn = 100 * of_resamples.gather(0, seeds).mean(0)  # [resamples]
    tails = [1 + int((drawn <= 0).sum()), 1 + int((drawn >= 0).sum())]
    p_value = min(1.0, 2 * min(tails) / (1 + len(drawn)))
    return Difference(
        on_data, *percentile_interval(drawn, LEVEL), p_value, len(by_seed), int((by_seed[:, 0] > 0).sum())
    )
