"""The speed of a sweep's criteria on the clock."""

from collections.abc import Mapping, Sequence

from ee_lightning.data import TaskDataModule
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.inference.runs import evaluated_rows
from ee_lightning.models import MultiExitModel
from ee_lightning.operating import MeasuredSpeed
from ee_lightning.reporting import NAMED_SPEEDUPS, Sweep

BATCH_SIZE = "32"
"""At which the scalars were measured."""


def measure_sweep(model: MultiExitModel, data: TaskDataModule, split: str, found: Sweep) -> list[MeasuredSpeed]:
    """Measure each criterion of a sweep near the named speed-ups.

    Args:
        model: The model that was swept.
        data: The data it was swept on.
        split: Their split.
        found: The sweep.
    """
    print("measuring the speed on the clock, which takes minutes")
    meter = SpeedMeter(model, samples_of(evaluated_rows(data.rows(split), found.exits)[:]))
    return [
        measured
        for criterion, thresholds in zip(found.criteria, _thresholds(found).values(), strict=True)
        for threshold in dict.fromkeys(thresholds.values())
        for measured in meter.measure(criterion, threshold)
    ]


def speed_scalars(found: Sweep, measured: Sequence[MeasuredSpeed], stage: str) -> dict[str, float]:
    """Flatten what `measure_sweep` gives for loggers.

    The names are stable: ``<stage>/<criterion>/wall_speedup_at_<speed-up>x``, of the operating point nearest to that
    speed-up by layers, in batches of 32.
    """
    wall = {(each.criterion, each.threshold): each.wall_speedup for each in measured if each.batch_size == BATCH_SIZE}
    return {
        f"{stage}/{criterion}/wall_speedup_at_{speedup:g}x": wall[criterion, threshold]
        for criterion, thresholds in _thresholds(found).items()
        for speedup, threshold in thresholds.items()
    }


def _thresholds(found: Sweep) -> Mapping[str, Mapping[float, float]]:
    """Give each criterion's thresholds near the named speed-ups, by criterion and speed-up."""
    return {
        curve.criterion: {speedup: curve.threshold_near(speedup) for speedup in NAMED_SPEEDUPS if speedup > 1}
        for curve in found.curves[: len(found.criteria)]
    }
