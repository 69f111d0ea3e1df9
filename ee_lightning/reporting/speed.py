"""Measured speeds: into the run folder, and onto a terminal of 80 columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from ee_lightning.operating import MeasuredSpeed
from ee_lightning.reporting.run_folder import RunFolder
from ee_lightning.reporting.speed_plot import draw_speed

if TYPE_CHECKING:
    from ee_lightning.inference.precision_effect import PrecisionEffect  # and with it transformers


def write_speed(folder: RunFolder, split: str, measured: Sequence[MeasuredSpeed]) -> None:
    """Write what was measured on a split, and the plot of all that the run folder holds."""
    folder.write_speed(split, measured)
    with folder.whole("speed.png") as file:
        draw_speed(folder.read_speed()).savefig(file, format="png")


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
    return Console(width=80, highlight=False)


def _named(criterion: str, threshold: float) -> str:
    return f"{criterion} at {threshold:.4g}"


def _short(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"
