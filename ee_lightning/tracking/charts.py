"""What a sweep finds, as tables and charts of Weights & Biases."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import wandb
from torch import Tensor

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.exits import Oracle
from ee_lightning.functional.reliability import reliability
from ee_lightning.tracking.tables import Rows, confusion, tables_of, tables_of_epoch

Logged = dict[str, Any]
_CHART_POINTS = 200  # a line; the table has more
_CROSS = (0.01, 0.02)  # half the width and height of a marker, as shares of the chart's


class _Line(NamedTuple):
    name: str
    x: Sequence[float]
    y: Sequence[float]


def of_epoch(found: Sweep) -> Logged:
    """Return what is shown of a sweep after an epoch: charts of the curves, and every exit's scores."""
    return {**_tables(tables_of_epoch(found)), **_curves(found)}


def of_evaluation(found: Sweep, picture: Path) -> Logged:
    """Return what is shown of a sweep after an evaluation: tables, charts, and the run folder's picture."""
    return {
        **_tables(tables_of(found)),
        **_curves(found),
        **_leaving(found),
        **_of_classes(found),
        f"{found.stage}/curves_picture": wandb.Image(str(picture)),
    }


def _tables(tables: Mapping[str, Rows]) -> Logged:
    return {name: wandb.Table(columns=[*rows.columns], data=[*rows.data]) for name, rows in tables.items()}


def _curves(found: Sweep) -> Logged:
    """Return ``<stage>/<metric>_by_speedup``, a line a criterion, and ``<stage>/scores_by_exit``, a line a metric.

    Crosses in the former are the oracle and the full model.
    """
    by_exit = [
        _Line(metric, list(range(1, len(scores) + 1)), list(scores)) for metric, scores in found.exit_scores.items()
    ]
    return {
        **{f"{found.stage}/{metric}_by_speedup": _by_speedup(found, metric) for metric in found.summary["metrics"]},
        f"{found.stage}/scores_by_exit": _chart(f"{found.stage}: scores of each exit alone", "exit", by_exit),
    }


def _leaving(found: Sweep) -> Logged:
    """Return ``<stage>/exit_histogram_at_<speed-up>x``: how many samples leave at each exit, a line a criterion."""
    stage, lines = found.stage, defaultdict(list)
    for criterion, by_speedup in found.diagnostics["exit_histograms"].items():
        for at, histogram in by_speedup.items():
            if histogram is not None:
                exits = list(range(1, len(histogram["samples"]) + 1))
                lines[at].append(_Line(criterion, exits, histogram["samples"]))
    return {
        f"{stage}/exit_histogram_at_{at}": _chart(f"{stage}: samples that leave at {at}", "exit", of_speedup)
        for at, of_speedup in lines.items()
    }


def _of_classes(found: Sweep) -> Logged:
    """Return ``<stage>/confusion`` of the last exit and ``<stage>/calibration`` of all, where samples have one label.

    A line of the latter is an exit: how often it is right where it is so sure.
    """
    if (counts := confusion(found)) is None:
        return {}
    labels, said = found.exits.class_numbers().tolist(), found.exits.predictions[-1].tolist()
    names, title = [str(number) for number in range(len(counts))], f"{found.stage}: classes at the last exit"
    lines = []
    for exit_layer, logits in enumerate(found.exits.logits.double(), 1):
        sure, predicted = logits.softmax(-1).max(-1)
        bins = reliability(sure, predicted == found.exits.class_numbers())
        filled = bins.counts > 0
        lines.append(_Line(f"exit {exit_layer}", bins.confidences[filled].tolist(), bins.accuracies[filled].tolist()))
    return {
        f"{found.stage}/confusion": wandb.plot.confusion_matrix(
            y_true=labels, preds=said, class_names=names, title=title
        ),
        f"{found.stage}/calibration": _chart(f"{found.stage}: share that is right by confidence", "confidence", lines),
    }


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
