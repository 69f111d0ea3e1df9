"""What a sweep finds, as Weights & Biases shows it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import isfinite
from typing import Any

import torch
import wandb
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from ee_lightning.exits import Curve
from ee_lightning.reporting.sweep import Sweep

_CHART_POINTS = 200
"""Points a line of the chart; the table has them all."""


def log_sweep(logger: WandbLogger, stage: str, found: Sweep) -> None:
    """Log what a sweep found, as tables and line charts.

    ``<stage>/curves`` is the table of every operating point and ``<stage>/<metric>_by_speedup`` the chart with a line a
    criterion; ``<stage>/pairs_of_exits`` tells how each pair of exits differs, and ``<stage>/exit_histograms`` how many
    samples leave at each exit at the named speed-ups.

    Args:
        logger: The run's logger.
        stage: The prefix of the keys.
        found: The sweep.
    """
    metrics = found.summary["metrics"]
    charts = {
        f"{stage}/{metric}_by_speedup": wandb.plot.line_series(
            xs=[_thin(curve.speedup) for curve in found.curves],
            ys=[_thin(curve.scores[metric]) for curve in found.curves],
            keys=[curve.criterion for curve in found.curves],
            title=f"{stage}: {metric} by speed-up",
            xname="speedup",
        )
        for metric in metrics
    }
    tables = {
        "curves": _operating_points(found.curves, metrics),
        "exit_histograms": _histograms(found.diagnostics["exit_histograms"]),
    }
    if "diversity" in found.diagnostics:  # not for regression
        tables["pairs_of_exits"] = _pairs(found.diagnostics["diversity"])
    logger.experiment.log({f"{stage}/{name}": table for name, table in tables.items()} | charts)


def _operating_points(curves: Sequence[Curve], metrics: Sequence[str]) -> wandb.Table:
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
    return wandb.Table(columns=["criterion", "threshold", "speedup", "mean_exit", *metrics], data=rows)


def _pairs(diversity: Mapping[str, Mapping[str, Any]]) -> wandb.Table:
    matrices = [found["matrix"] for found in diversity.values()]
    rows = [
        [earlier + 1, later + 1, *(matrix[earlier][later] for matrix in matrices)]
        for earlier, later in combinations(range(len(matrices[0])), 2)
    ]
    return wandb.Table(columns=["exit", "later_exit", *diversity], data=rows)


def _histograms(by_criterion: Mapping[str, Mapping[str, Mapping[str, Any] | None]]) -> wandb.Table:
    rows = [
        [criterion, speedup, exit_layer, samples]
        for criterion, by_speedup in by_criterion.items()
        for speedup, histogram in by_speedup.items()
        if histogram is not None
        for exit_layer, samples in enumerate(histogram["samples"], 1)
    ]
    return wandb.Table(columns=["criterion", "at", "exit", "samples"], data=rows)


def _thin(values: Tensor) -> list[float]:
    """Take at most :data:`_CHART_POINTS` of the points, evenly, both ends among them."""
    last = len(values) - 1
    kept = torch.linspace(0, last, min(last + 1, _CHART_POINTS), dtype=torch.float64).round().long()  # [points]
    return list(values[kept].tolist())
