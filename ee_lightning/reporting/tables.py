"""Tables for a terminal of 80 columns: what a run ends with, choices, and measured speeds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ee_lightning.analysis.budgets import budget_of
from ee_lightning.exits import in_short
from ee_lightning.runs.figures import NAMED_SPEEDUPS
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.measured import MeasuredSpeed
from ee_lightning.runs.operating_point import Estimate, OperatingPoint

if TYPE_CHECKING:
    from ee_lightning.inference.speed import PrecisionEffect  # and with it transformers


def print_summary(folder: RunFolder) -> None:
    """Print the figures of a run, split by split, and where the run lies; see `print_figures`.

    Args:
        folder: The run's folder.
    """
    print_figures(folder.read_summary())
    _console().print(f"run folder: {folder.path}", soft_wrap=True)


def print_figures(summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print figures, split by split.

    One row a criterion, the full model and the oracle beside them; scores in percent.

    Args:
        summaries: The figures of ``summary.json``, by split.
    """
    console = _console()
    for split, summary in summaries.items():
        console.print(f"\n{describe(split, summary)}", _table(summary), _exits(summary), sep="\n")


def print_choice(point: OperatingPoint, criterion_name: str) -> None:
    """Print an operating point: what was chosen, and what it reached on samples that it was not chosen on.

    Args:
        point: The operating point.
        criterion_name: The name of its criterion.
    """
    console = _console()
    console.print(f"{criterion_name} at threshold {in_short(point.threshold)}, chosen on {point.chosen_on} samples")
    table = Table(
        f"on {point.measured_on} other samples",
        title=f"with {point.confidence:.0%} bootstrap intervals",
        title_justify="left",
    )
    table.add_column("", justify="right")
    table.add_column("interval", justify="right")
    for name, estimate in point.reached.items():
        table.add_row(_heading(name), *_with_interval(name, estimate))
    console.print(table)
    console.print(_verdict(point))
    if without_width := [_heading(name) for name, figure in point.reached.items() if figure.low == figure.high]:
        console.print(
            f"note: the resamples do not differ in {' and '.join(without_width)}: an interval without width says "
            "nothing about how rare a difference is"
        )
    if point.guarantee is not None:
        console.print(point.guarantee)


def _verdict(point: OperatingPoint) -> str:
    """Say whether the budget was met on the other half, and whether the interval agrees."""
    budget = budget_of(point.asked)
    estimate = point.reached[budget.figure]
    is_met = [budget.met_by(figure) for figure in (estimate.value, estimate.low, estimate.high)]
    agrees = len(set(is_met)) == 1
    verdict, others = ("met", "misses") if is_met[0] else ("missed", "meets")
    whole = "all" if agrees else "part"
    does = {"met": "meets", "missed": "misses"}[verdict] if agrees else others
    shown, interval = _with_interval(budget.figure, estimate)
    heading = _heading(budget.figure)
    return (
        f"{budget}: {verdict} on the other samples: {heading} {shown}, interval {interval}, {whole} of which {does} it"
    )


_FIGURES = {
    "score": "score (%)",
    "full_score": "full model's score (%)",
    "loss": "loss (points)",
    "speedup": "speed-up",
    "consistency": "consistency (%)",
}


def _heading(name: str) -> str:
    return _FIGURES.get(name, name)


def _with_interval(name: str, estimate: Estimate) -> tuple[str, str]:
    if name == "speedup":
        return f"{estimate.value:.2f}x", f"{estimate.low:.2f} to {estimate.high:.2f}"
    return _percent(estimate.value), f"{_percent(estimate.low)} to {_percent(estimate.high)}"


def describe(split: str, summary: Mapping[str, Any]) -> str:
    """Say in a line what was evaluated."""
    return f"{summary['task']} {split}: {_samples(summary)}, {summary['num_exits']} exits"


def _samples(summary: Mapping[str, Any]) -> str:
    samples, total = summary["samples"], summary.get("total", summary["samples"])
    if samples == total:
        return f"{samples} samples"
    return f"{samples} of {total} samples, {'' if summary['drawn_at_random'] else 'not '}drawn at random"


def _table(summary: Mapping[str, Any]) -> Table:
    metric = summary["metrics"][0]
    columns = {f"{speedup:g}x": f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS} | {"area": "area"}
    table = Table("criterion", title=f"{metric} (%) by speed-up", title_justify="left")
    for heading in columns:
        table.add_column(heading, justify="right")
    for criterion, by_metric in summary["criteria"].items():
        table.add_row(criterion, *(_percent(by_metric[metric][name]) for name in columns.values()))
    table.add_section()
    table.add_row("full model", _percent(summary["full_model"][metric]))
    if (oracle := summary["oracle"]) is not None:
        table.add_row(f"oracle, at {oracle['speedup']:.2f}x", _percent(oracle[metric]))
    return table


def _exits(summary: Mapping[str, Any]) -> str:
    scores = summary["exits"][summary["metrics"][0]]
    return "every exit alone: " + " ".join(_percent(score) for score in scores)


def _percent(score: float | None) -> str:
    return "–" if score is None else f"{100 * score:.1f}"


def print_latencies(measured: Sequence[MeasuredSpeed]) -> None:
    """Print what an operating point reaches at every batch size: speed-up, latency and throughput.

    Args:
        measured: One measurement for each batch size.
    """
    first = measured[0]
    theory = f"{first.layer_speedup:.2f}x by layers, {first.flops_speedup:.2f}x by FLOPs"
    table = Table("batch")
    for heading in ("clock", "quartiles", "ms, p95", "full model's", "per s", "full's"):
        table.add_column(heading, justify="right")
    for each in measured:
        table.add_row(
            each.batch_size,
            f"{each.wall_speedup:.2f}x",
            f"{each.wall_speedup_low:.2f}–{each.wall_speedup_high:.2f}",
            f"{_short(each.latency_ms)}, {_short(each.latency_p95_ms)}",
            f"{_short(each.full_latency_ms)}, {_short(each.full_latency_p95_ms)}",
            _short(each.throughput),
            _short(each.full_throughput),
        )
    _console().print(f"\n{_named(first.criterion, first.threshold)}: {theory}", table, sep="\n")


def print_speed(measured: Sequence[MeasuredSpeed]) -> None:
    """Print the speed-ups of operating points: by layers, by operations, and on the clock at every batch size.

    Args:
        measured: The measurements of all points, in the same conditions.
    """
    points: dict[tuple[str, float], list[MeasuredSpeed]] = {}
    for each in measured:
        points.setdefault((each.criterion, each.threshold), []).append(each)
    sizes = list(dict.fromkeys(each.batch_size for each in measured))
    table = Table("")
    for heading in ("layers", "FLOPs", *sizes):
        table.add_column(heading, justify="right")
    for point, at_sizes in points.items():
        wall = {each.batch_size: f"{each.wall_speedup:.2f}x" for each in at_sizes}
        in_theory = (f"{at_sizes[0].layer_speedup:.2f}x", f"{at_sizes[0].flops_speedup:.2f}x")
        table.add_row(_named(*point), *in_theory, *(wall.get(size, "–") for size in sizes))
    on = f"speed-up of {measured[0].samples} samples on {measured[0].conditions}"
    _console().print(f"\n{on}\nby layers, by FLOPs, and on the clock by batch size", table, sep="\n")


def print_precision_effects(effects: Sequence["PrecisionEffect"], metric: str) -> None:
    """Print scores in float32 beside those in bfloat16.

    Args:
        effects: Those of the full model and of operating points.
        metric: The name of the score.
    """
    table = Table(f"{metric} (%)")
    for heading in ("fp32", "bf16", "difference"):
        table.add_column(heading, justify="right")
    for effect in effects:
        point = "full model" if effect.criterion is None else _named(effect.criterion, effect.threshold)
        difference = 100 * (effect.bf16 - effect.fp32)
        table.add_row(point, f"{100 * effect.fp32:.1f}", f"{100 * effect.bf16:.1f}", f"{difference:+.1f}")
    _console().print("\nthe same samples in both precisions", table, sep="\n")


def _console() -> Console:
    return Console(width=80, highlight=False, markup=False)  # brackets are of names


def _named(criterion: str, threshold: float) -> str:
    return f"{criterion} at {threshold:.4g}"


def _short(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"
