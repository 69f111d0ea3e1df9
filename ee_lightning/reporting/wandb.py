"""Curves as Weights & Biases draws them."""

from collections.abc import Sequence
from math import isfinite

import torch
import wandb
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from ee_lightning.exits import Curve

_CHART_POINTS = 200
"""Points a line of the chart; the table has them all."""


def log_curves(logger: WandbLogger, stage: str, curves: Sequence[Curve], metrics: Sequence[str]) -> None:
    """Log the curves of a split as one table with every operating point and one line chart a metric.

    Args:
        logger: The run's logger.
        stage: The prefix of the keys: ``<stage>/curves`` and ``<stage>/<metric>_by_speedup``.
        curves: The curves, one line each.
        metrics: Metric names.
    """
    rows = [
        [curve.criterion, threshold if isfinite(threshold) else None, *point]  # infinity is no JSON
        for curve in curves
        for threshold, *point in zip(
            curve.thresholds.tolist(),
            curve.speedup.tolist(),
            curve.mean_exit.tolist(),
            *(curve.scores[name].tolist() for name in metrics),
            strict=True,
        )
    ]
    columns: list[str | int] = ["criterion", "threshold", "speedup", "mean_exit", *metrics]
    charts = {
        f"{stage}/{metric}_by_speedup": wandb.plot.line_series(
            xs=[_thin(curve.speedup) for curve in curves],
            ys=[_thin(curve.scores[metric]) for curve in curves],
            keys=[curve.criterion for curve in curves],
            title=f"{stage}: {metric} by speed-up",
            xname="speedup",
        )
        for metric in metrics
    }
    logger.experiment.log({f"{stage}/curves": wandb.Table(columns=columns, data=rows), **charts})


def _thin(values: Tensor) -> list[float]:
    """Take at most :data:`_CHART_POINTS` of the points, evenly, both ends among them."""
    last = len(values) - 1
    kept = torch.linspace(0, last, min(last + 1, _CHART_POINTS), dtype=torch.float64).round().long()  # [points]
    return list(values[kept].tolist())
