"""Tables for a terminal of 80 columns: what a run ends with, choices, and measured speeds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ee_lightning.analysis.budgets import budget_of
from ee_lightning.analysis.sweep import Sweep
from ee_lightning.errors import counted
from ee_lightning.exits import Threshold
from ee_lightning.exits.placement import exits_after
from ee_lightning.exits.threshold import in_numbers, in_words
from ee_lightning.runs.figures import NAMED_SPEEDUPS, MeasuredSpeed
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import Estimate, OperatingPoint

if TYPE_CHECKING:
    from ee_lightning.inference.speed import PrecisionEffect  # and with it transformers


class Terminal:
    """Prints the sweeps of a run when it is over, and with it the progress bar."""

    def __init__(self) -> None:
        self._evaluations: list[Sweep] = []

    def take_sweep(self, found: Sweep) -> None:
        """Keep what an evaluation found for the end."""
        if found.epoch is None:
            self._evaluations.append(found)

    def show(self, folder: RunFolder) -> bool:
        """Print what was taken since the last time, and where the run lies; return whether there was anything."""
        evaluations, self._evaluations = self._evaluations, []
        for found in evaluations:
            if found.measured:
                print_speed(found.measured)
        if evaluations:
            print_figures({found.split: found.summary for found in evaluations})
            _print_place(folder)
        return bool(evaluations)


def print_summary(folder: RunFolder) -> None:
    """Print the figures of a run, split by split, and where the run lies."""
    print_figures(folder.read_summary())
    _print_place(folder)


def print_figures(summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the figures of ``summary.json`` by split: a row a criterion, the full model and the oracle, in percent."""
    for split, summary in summaries.items():
        first, *_ = summary["metrics"]
        lines = [f"every exit alone: {' '.join(_percent(score) for score in summary['exits'][first])}"]
        if more := [f"{name} {_percent(score)}" for name, score in summary["full_model"].items() if name != first]:
            lines.append(f"full model: {', '.join(more)}")
        _console().print(f"\n{describe(split, summary)}", _table(summary), *lines, sep="\n")


def print_choice(point: OperatingPoint, criterion_name: str) -> None:
    """Print an operating point: what was chosen, and what it reached on samples that it was not chosen on."""
    console = _console()
    console.print(f"{criterion_name} at {in_words(point.threshold)}, chosen on {point.chosen_on} samples")
    if (layers := point.layers_of_exits) != tuple(range(1, len(layers) + 1)):
        console.print(exits_after(layers))
    if (costs := point.costs) is not None:
        console.print(
            f"a row takes {_short(costs.start)} ms, {_short(costs.layer)} ms a layer and {_short(costs.exit)} ms an "
            f"exit; of the full model {_short(costs.full)} ms ({costs.device}, {counted(costs.threads, 'thread')})"
        )
    title = f"with {point.confidence:.0%} intervals"
    table = _columns(f"on {point.measured_on} other samples", "", "interval", title=title)
    for name, estimate in point.reached.items():
        table.add_row(_FIGURES.get(name, name), *_with_interval(name, estimate))
    console.print(table)
    console.print(_verdict(point))
    if without_width := [_FIGURES.get(name, name) for name, each in point.reached.items() if each.low == each.high]:
        console.print(
            f"note: all resamples have the same {' and '.join(without_width)}, so an interval without width does "
            "not show how uncertain that is"
        )
    if point.guarantee is not None:
        console.print(point.guarantee)


def _verdict(point: OperatingPoint) -> str:
    """Say whether the budget was met on the other half, and whether the interval agrees."""
    budget = budget_of(point.asked)
    name = budget.figure_of(point.reached)
    estimate = point.reached[name]
    is_met, *ends = [budget.met_by(figure) for figure in (estimate.value, estimate.low, estimate.high)]
    agrees = set(ends) == {is_met}
    whole, does = "all" if agrees else "part", "meets" if is_met == agrees else "misses"
    shown, interval = _with_interval(name, estimate)
    return (
        f"{budget}: {'met' if is_met else 'missed'} on the other samples: "
        f"{_FIGURES.get(name, name)} {shown}, interval {interval}, {whole} of which {does} it"
    )


_FIGURES = {
    "score": "score (%)",
    "full_score": "full model's score (%)",
    "loss": "loss (points)",
    "speedup": "speed-up",
    "clock": "speed-up on the clock",
    "consistency": "consistency (%)",
    "spoilt": "spoilt (%)",
    "brier": "Brier score lost (points)",
    "hellinger": "Hellinger distance (0.01)",
}


def _with_interval(name: str, estimate: Estimate) -> tuple[str, str]:
    if name in ("speedup", "clock"):
        return f"{estimate.value:.2f}x", f"{estimate.low:.2f} to {estimate.high:.2f}"
    return _percent(estimate.value), f"{_percent(estimate.low)} to {_percent(estimate.high)}"


def describe(split: str, summary: Mapping[str, Any]) -> str:
    """Say in a line what was evaluated."""
    samples, total = summary["samples"], summary.get("total", summary["samples"])
    rows = f"{samples} samples"
    if samples != total:
        rows = f"{samples} of {total} samples, {'' if summary['drawn_at_random'] else 'not '}drawn at random"
    exits, layers = f"{summary['num_exits']} exits", summary.get("layers_of_exits")
    if layers not in (None, [*range(1, summary["num_exits"] + 1)]):
        exits = exits_after(layers)
    return f"{summary['task']} {split}: {rows}, {exits}"


def _table(summary: Mapping[str, Any]) -> Table:
    metric = summary["metrics"][0]
    columns = {f"{speedup:g}x": f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS} | {"area": "area"}
    table = _columns("criterion", *columns, title=f"{metric} (%) by speed-up")
    for criterion, by_metric in summary["criteria"].items():
        table.add_row(criterion, *(_percent(by_metric[metric][name]) for name in columns.values()))
    table.add_section()
    table.add_row("full model", _percent(summary["full_model"][metric]))
    if (oracle := summary["oracle"]) is not None:
        table.add_row(f"oracle, at {oracle['speedup']:.2f}x", _percent(oracle[metric]))
    return table


def _percent(score: float | None) -> str:
    return "–" if score is None else f"{100 * score:z.1f}"


def print_latencies(measured: Sequence[MeasuredSpeed]) -> None:
    """Print what an operating point reaches at every batch size: speed-up, latency and throughput."""
    first = measured[0]
    theory = f"{first.layer_speedup:.2f}x by layers"
    if first.flops_speedup is not None:
        theory += f", {first.flops_speedup:.2f}x by FLOPs"
    table = _columns("batch", "clock", "quartiles", "ms, p95", "full model's", "per s", "full's")
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
    """Print the speed-ups of points measured in the same conditions: by layers, by operations, and on the clock."""
    points = defaultdict(list)
    for each in measured:
        points[each.criterion, each.threshold].append(each)
    sizes = list(dict.fromkeys(each.batch_size for each in measured))
    has_flops = measured[0].flops_speedup is not None
    table = _columns("", "layers", *["FLOPs"][: int(has_flops)], *sizes)
    for point, at_sizes in points.items():
        wall = {each.batch_size: f"{each.wall_speedup:.2f}x" for each in at_sizes}
        in_theory = [each for each in (at_sizes[0].layer_speedup, at_sizes[0].flops_speedup) if each is not None]
        cells = (*(f"{each:.2f}x" for each in in_theory), *(wall.get(size, "–") for size in sizes))
        table.add_row(_named(*point), *cells)
    on = f"speed-up of {measured[0].samples} samples on {measured[0].conditions}"
    by = "by layers, by FLOPs," if has_flops else "by layers"
    _console().print(f"\n{on}\n{by} and on the clock by batch size", table, sep="\n")


def print_precision_effects(effects: Sequence["PrecisionEffect"], metric: str) -> None:
    """Print scores in float32 beside those in bfloat16, of the full model and of operating points."""
    table = _columns(f"{metric} (%)", "fp32", "bf16", "difference")
    for effect in effects:
        point = "full model" if effect.criterion is None else _named(effect.criterion, effect.threshold)
        difference = 100 * (effect.bf16 - effect.fp32)
        table.add_row(point, f"{100 * effect.fp32:.1f}", f"{100 * effect.bf16:.1f}", f"{difference:+z.1f}")
    _console().print("\nthe same samples in both precisions", table, sep="\n")


def _print_place(folder: RunFolder) -> None:
    _console().print(f"run folder: {folder.path}", soft_wrap=True)


def _columns(first: str, *others: str, title: str | None = None) -> Table:
    """Return a table without rows, whose figures stand on the right of their columns."""
    table = Table(first, title=title, title_justify="left")
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _console() -> Console:
    return Console(width=80, highlight=False, markup=False)  # brackets are of names


def _named(criterion: str, threshold: Threshold) -> str:
    return f"{criterion} at {in_numbers(threshold, digits=4)}"


def _short(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"
