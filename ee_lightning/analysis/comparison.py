"""Many runs in one table: a row a configuration and criterion, with mean and deviation over seeds."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from scipy import special
from torch import Tensor

from ee_lightning.errors import OptionError, counted
from ee_lightning.functional import resample, weighted_scores
from ee_lightning.runs.figures import NAMED_SPEEDUPS
from ee_lightning.runs.run_options import is_free, leaves

FIGURES = {f"{speedup:g}x": f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS} | {"area": "area"}
"""The headings of the figures that runs are compared by, and their names in ``summary.json``."""
FULL_MODEL = "full model"
"""What a table calls the model without early exit, where it names the others by their criteria."""
RESAMPLES = 10_000
LEVEL = 0.95
_BISECTIONS = 60


@dataclass(frozen=True)
class ComparedRun:
    """A run that is to be compared with others, which its options, by dotted names, tell apart from those of its name.

    The options are without the seed; the figures of ``summary`` are by split, as in ``summary.json``.
    """

    name: str
    options: Mapping[str, str]
    summary: Mapping[str, Mapping[str, Any]]
    seed: int | None = None


NOT_COMPARED = ("run", "seed_everything")
"""Options by which runs of one configuration differ."""


def compared_run(options: Mapping[str, Any], summary: Mapping[str, Mapping[str, Any]]) -> ComparedRun:
    """Return a run that is to be compared, by its nested options and its figures by split."""
    compared = {option: value for option, value in leaves(options).items() if not is_free(option, NOT_COMPARED)}
    seed = options.get("seed_everything")
    return ComparedRun(str(options["run"]["name"]), compared, summary, seed if isinstance(seed, int) else None)


def named_alike(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Give runs of the same options and other seeds, which a suite names one by one, what their names begin with."""
    renamed = []
    for run in runs:
        alike = [other for other in runs if other.options == run.options]
        names, seeds = [other.name for other in alike], [other.seed for other in alike]
        is_one = len({*names}) == len(names) == len({*seeds}) > 1
        renamed.append(replace(run, name=(_beginning(names).rstrip("-_ ") or run.name) if is_one else run.name))
    return renamed


def _beginning(names: Sequence[str]) -> str:
    alike = takewhile(lambda characters: len({*characters}) == 1, zip(*names, strict=False))
    return "".join(first for first, *_ in alike)


def configurations(runs: Sequence[ComparedRun]) -> list[str]:
    """Name the configuration of each run: those that differ in the seed alone have the same."""
    varied = {name: _varied([run.options for run in runs if run.name == name]) for name in {run.name for run in runs}}
    return [
        ", ".join([run.name, *(f"{_last(each)} {run.options.get(each, '')}" for each in varied[run.name])])
        for run in runs
    ]


def compare(runs: Sequence[ComparedRun]) -> pd.DataFrame:
    """Compare runs: those of the same task, name and options are taken for seeds of one configuration.

    Returns:
        A row a configuration, criterion (or full model), split and metric: ``task``, ``split``, ``metric``, ``run``, a
        column for each option in which runs of one name differ, ``criterion``, ``runs`` (how many), and for each of
        `FIGURES` the mean and, as ``<figure>_std``, the sample standard deviation; empty where a run lacks the figure,
        or where one run deviates from none.
    """
    runs = named_alike(runs)
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


def shared_metric(metrics: Mapping[Path, Sequence[str]], about: str) -> str:
    """Return the first metric that all runs have, in the order of the first run.

    Args:
        metrics: Those of each run.
        about: The task and split, for the error.

    Raises:
        OptionError: There is none.
    """
    first, *others = metrics.values()
    shared = next((metric for metric in first if all(metric in other for other in others)), None)
    if shared is None:
        has = "; ".join(f"{run}: {', '.join(of_run)}" for run, of_run in metrics.items())
        what = f"the runs of {about} have no metric in common: {has}"
        raise OptionError(what, where="the runs", hint="score some again: ee-lightning curves RUN --metrics NAME")
    return shared


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
        for configuration, of_one in by_configuration(rows[rows["metric"] == metric]):
            runs = counted(of_one["runs"].iloc[0], "run")
            console.print(f"{configuration} ({runs})", _table(of_one, show_header=False), sep="\n")


def _varied(options: Sequence[Mapping[str, str]]) -> list[str]:
    """Name the options in which some differ, sorted."""
    names = {name for each in options for name in each}
    return sorted(name for name in names if len({each.get(name) for each in options}) > 1)


def _last(option: str) -> str:
    return option.rpartition(".")[2]


def _rows(summary: Mapping[str, Any], metric: str) -> dict[str, Mapping[str, float | None]]:
    full = {FULL_MODEL: {FIGURES["1x"]: summary["full_model"][metric]}}
    return {criterion: by_metric[metric] for criterion, by_metric in summary["criteria"].items()} | full


def by_configuration(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Return the rows of each configuration, and what `configurations` calls it."""
    configuration = list(rows.columns[3 : rows.columns.get_loc("criterion")])
    for (name, *options), of_one in rows.groupby(configuration, sort=False, dropna=False):
        varied = [
            f"{_last(option)} {value}"
            for option, value in zip(configuration[1:], options, strict=True)
            if isinstance(value, str)
        ]
        yield ", ".join([name, *varied]), of_one


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
        low: The lower end of the 95 % interval.
        high: The upper end.
        p_value: Of the two-sided test, for other samples and, of two seeds or more, for other runs.
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


def mean_difference(by_task: Sequence[Tensor]) -> Difference:
    r"""Average the differences of each task, for each seed on the data and on every resample, and test the mean.

    A difference varies with the runs and with the samples, which all seeds of a task share. Over S seeds of a task the
    mean has the variance :math:`v + w`: :math:`v = s^2 / S` with the variance :math:`s^2` of the seeds, and w the mean
    covariance of two seeds over the resamples; of one seed, v is 0 and w its variance. Over tasks, whose runs and
    samples are independent, both are means divided by the number of tasks. The interval is the mean
    :math:`\pm \sqrt{t^2 v + z^2 w}`, with the quantiles z of the normal distribution and t of Student's with the
    degrees of freedom of v (Welch 1947, Satterthwaite 1946). Taking each part with its own quantile holds the level
    from two seeds on, where one quantile for the sum does not (Graybill & Wang 1980). A few seeds may agree by chance
    more than their samples allow: the interval is at least that of the same runs on other samples,
    :math:`\pm z` times the deviation of the mean over the resamples. The p-value is that of the narrowest interval that
    reaches 0.

    Args:
        by_task: Of each task, differences as shares, of shape [seeds, 1 + resamples]; all have the same seeds.
    """
    tasks = len(by_task)
    on_data = torch.stack([each[:, 0] for each in by_task])  # [tasks, seeds]
    num_seeds = on_data.shape[1]
    of_runs = on_data.var(1) / num_seeds if num_seeds > 1 else on_data.new_zeros(tasks)  # [tasks]
    of_samples = torch.stack([_shared_variance(each[:, 1:]) for each in by_task])  # [tasks]
    of_same_runs = torch.stack([each[:, 1:].mean(0).var() for each in by_task])  # [tasks]
    runs, samples, same_runs = (each.sum().item() / tasks**2 for each in (of_runs, of_samples, of_same_runs))
    freedom = (num_seeds - 1) * (of_runs.sum() ** 2 / (of_runs**2).sum()).item() if runs > 0 else 1.0

    def half_width(p_value: float) -> float:
        t, z = special.stdtrit(freedom, p_value / 2), special.ndtri(p_value / 2)
        return math.sqrt(max(t**2 * runs + z**2 * samples, z**2 * same_runs))

    value, half = on_data.mean().item(), half_width(1 - LEVEL)
    p_value = _falling_root(lambda tried: half_width(tried) - abs(value))
    num_ahead = int((on_data.mean(0) > 0).sum())
    return Difference(100 * value, 100 * (value - half), 100 * (value + half), p_value, num_seeds, num_ahead)


def _shared_variance(of_resamples: Tensor) -> Tensor:
    """Return the mean covariance of two different seeds [seeds, resamples]; of one seed its variance."""
    covariance = of_resamples.cov().reshape(len(of_resamples), -1)  # [seeds, seeds]
    if len(covariance) == 1:
        return covariance.squeeze()
    pairs = len(covariance) * (len(covariance) - 1)
    return ((covariance.sum() - covariance.trace()) / pairs).clamp_min(0)


def _falling_root(function: Callable[[float], float]) -> float:
    """Return where a falling function crosses 0 between 0 and 1; 1 where it does not."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) >= 0 else (low, middle)
    return high
