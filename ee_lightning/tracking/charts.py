"""What a sweep finds, as tables and charts of Weights & Biases."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import torch
import wandb
from torch import Tensor

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.exits import Curve, Oracle

Logged = dict[str, Any]
_CHART_POINTS = 200  # a line; the table has more
_CROSS = (0.01, 0.02)  # half the width and height of a marker, as shares of the chart's


class _Line(NamedTuple):
    name: str
    x: Sequence[float]
    y: Sequence[float]


def of_epoch(found: Sweep) -> Logged:
    """Return what is shown of a sweep after an epoch: charts of the curves, and every exit's scores."""
    return {**_curves(found), **_exit_scores(found)}


def of_evaluation(found: Sweep, picture: Path) -> Logged:
    """Return what is shown of a sweep after an evaluation: tables, the run folder's picture, and diagnostics too."""
    return {**_operating_points(found, picture), **of_epoch(found), **_diagnostics(found)}


def _operating_points(found: Sweep, picture: Path) -> Logged:
    """Return ``<stage>/curves``, the table of operating points, and ``<stage>/curves_picture``, which draws them.

    The points are those of ``curves.csv`` in the run folder.
    Thresholds are text, as the command line takes them: the first of each criterion is ``inf``, and no number of JSON.
    """
    metrics = found.summary["metrics"]
    rows = []
    for curve in map(Curve.telling, found.curves):
        columns = [curve.thresholds, curve.speedup, curve.mean_exit, *(curve.scores[name] for name in metrics)]
        points = zip(*(column.tolist() for column in columns), strict=True)
        rows += [[curve.criterion, str(threshold), *point] for threshold, *point in points]
    table = wandb.Table(columns=["criterion", "threshold", "speedup", "mean_exit", *metrics], data=rows)
    return {f"{found.stage}/curves": table, f"{found.stage}/curves_picture": wandb.Image(str(picture))}


def _curves(found: Sweep) -> Logged:
    """Return ``<stage>/<metric>_by_speedup``, a line a criterion, with crosses for the oracle and the full model."""
    return {f"{found.stage}/{metric}_by_speedup": _by_speedup(found, metric) for metric in found.summary["metrics"]}


def _exit_scores(found: Sweep) -> Logged:
    """Return ``<stage>/exits``, the table of every exit's scores, and ``<stage>/scores_by_exit``, which draws it."""
    stage, scores = found.stage, found.exit_scores
    rows = [[exit_layer, *row] for exit_layer, row in enumerate(zip(*scores.values(), strict=True), 1)]
    lines = [_Line(metric, [row[0] for row in rows], list(by_exit)) for metric, by_exit in scores.items()]
    return {
        f"{stage}/exits": wandb.Table(columns=["exit", *scores], data=rows),
        f"{stage}/scores_by_exit": _chart(f"{stage}: scores of each exit alone", "exit", lines),
    }


def _diagnostics(found: Sweep) -> Logged:
    """Return where samples leave at the named speed-ups, and but for regression how pairs of exits differ.

    These are ``<stage>/exit_histograms``, drawn by ``<stage>/exit_histogram_at_<speed-up>x``, and
    ``<stage>/pairs_of_exits``.
    """
    stage, rows, lines = found.stage, [], defaultdict(list)
    for criterion, by_speedup in found.diagnostics["exit_histograms"].items():
        for at, histogram in by_speedup.items():
            if histogram is not None:
                exits = list(range(1, len(histogram["samples"]) + 1))
                rows += [[criterion, at, *each] for each in zip(exits, histogram["samples"], strict=True)]
                lines[at].append(_Line(criterion, exits, histogram["samples"]))
    table = wandb.Table(columns=["criterion", "at", "exit", "samples"], data=rows)
    logged: Logged = {f"{stage}/exit_histograms": table} | {
        f"{stage}/exit_histogram_at_{at}": _chart(f"{stage}: samples that leave at {at}", "exit", of_speedup)
        for at, of_speedup in lines.items()
    }
    if (diversity := found.diagnostics.get("diversity")) is not None:
        matrices = [measure["matrix"] for measure in diversity.values()]
        pairs = [
            [earlier + 1, later + 1, *(matrix[earlier][later] for matrix in matrices)]
            for earlier, later in combinations(range(len(matrices[0])), 2)
        ]
        logged[f"{stage}/pairs_of_exits"] = wandb.Table(columns=["exit", "later_exit", *diversity], data=pairs)
    return logged


def _by_speedup(found: Sweep, metric: str) -> Any:
    curves = [curve.telling() for curve in found.curves if curve.criterion != Oracle.name]
    lines = [_Line(curve.criterion, _thin(curve.speedup), _thin(curve.scores[metric])) for curve in curves]
    points = {"full model": (1.0, found.summary["full_model"][metric])}
    if (oracle := found.summary["oracle"]) is not None:
        points["oracle"] = (oracle["speedup"], oracle[metric])
    scores = [score for line in lines for score in line.y] + [score for _, score in points.values()]
    width, height = curves[0].num_layers - 1, max(scores) - min(scores)
    crosses = [_cross(name, *point, _CROSS[0] * width, _CROSS[1] * height) for name, point in points.items()]
    return _chart(f"{found.stage}: {metric} by speed-up", "speedup", [*lines, *crosses])


def _cross(name: str, x: float, y: float, half_width: float, half_height: float) -> _Line:
    """Draw a cross in one line, from left to right: charts that nobody sets up have lines only."""
    xs, ys = [x - half_width, x, x, x, x, x + half_width], [y, y, y + half_height, y - half_height, y, y]
    return _Line(name, xs, ys)


def _chart(title: str, xname: str, lines: Sequence[_Line]) -> Any:
    keys, xs, ys = zip(*lines, strict=True)
    return wandb.plot.line_series(xs=xs, ys=ys, keys=keys, title=title, xname=xname)


def _thin(values: Tensor) -> list[float]:
    """Take at most :data:`_CHART_POINTS` of the points, evenly, both ends among them."""
    last = len(values) - 1
    kept = torch.linspace(0, last, min(last + 1, _CHART_POINTS), dtype=torch.float64).round().long()  # [points]
    return list(values[kept].tolist())
