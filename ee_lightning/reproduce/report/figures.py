"""The curves of a suite's rows on a task, as a picture."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import cycle

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ee_lightning.exits import Curve, Oracle
from ee_lightning.exits.drawing import POINTS, lay_out, mean_curve
from ee_lightning.reporting.plots import STYLES
from ee_lightning.reproduce.evaluation import Evaluation, Layers, StoredRun
from ee_lightning.reproduce.report.words import reported
from ee_lightning.reproduce.results import Results
from ee_lightning.reproduce.suite import Row


def draw_task(found: Evaluation, results: Results, task: str) -> Figure | None:
    """Draw score against speed-up for all rows on a task.

    A line is the mean over seeds of a criterion's curve, with a band of one standard deviation; its filled point is
    where the threshold chosen on the dev set came to. A square is a model that is read at its last exit, a star the
    oracle of a training, in the colour of its first line. Hollow diamonds are published figures, at the speed-up
    stated there. None where the task has no runs.
    """
    trained = [row for row in found.suite.rows if found.runs_of(task, row.training)]
    if not trained:
        return None
    figure = Figure(figsize=(9, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    styles, drawn = cycle(STYLES), dict[tuple[str, str], str]()
    layers = {row.training: _layers(found, task, row.training) for row in trained}
    for row in trained:
        color = "black"
        if row.criterion not in (None, Oracle.name):
            line = (row.training, str(row.criterion))
            if line not in drawn:
                drawn[line] = style = next(styles)
                _draw_curve(axes, found, task, row, layers[row.training], style)
            color = drawn[line].rstrip("-:.")
        _draw_points(axes, results, task, row, color)
    colors = {training: style.rstrip("-:.") for (training, _), style in reversed(drawn.items())}
    for training, color in reversed(colors.items()):
        _draw_oracle(axes, found, task, training, layers[training], color)
    run = found.runs_of(task, trained[0].training)[0]
    known = [each.full for each in layers.values() if each is not None]
    lay_out(axes, max([run.exits.layers_of_exits[-1], *known]), run.metric)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False)
    seeds = max(len(found.runs_of(task, row.training)) for row in trained)
    axes.set_title(f"{task}, {reported(found.suite).removeprefix('the ')}, {seeds} seed{'s' if seeds > 1 else ''}")
    return figure


def _layers(found: Evaluation, task: str, training: str) -> Layers | None:
    """Return the layers of a training's model; None where they can't be counted, which is noted."""
    run = found.runs_of(task, training)[0]
    return found.attempt(f"speed-ups of {training} on {task}", lambda: run.layers)


def _draw_curve(axes: Axes, found: Evaluation, task: str, row: Row, layers: Layers | None, style: str) -> None:
    runs = found.runs_of(task, row.training)
    trace = partial(_curves, runs, str(row.criterion))
    curves = found.attempt(f"curve of {row.label} on {task}", trace)
    if curves is None or layers is None:
        return
    own, scores = mean_curve(curves, runs[0].metric)  # [points], [seeds, points]
    speedup = layers.speedup(curves[0].num_layers / torch.from_numpy(own))  # [points]
    mean, deviation = scores.mean(0), scores.std(0, ddof=1) if len(scores) > 1 else np.zeros(POINTS)
    axes.plot(speedup, mean, style, linewidth=1.6, label=row.label)
    axes.fill_between(speedup, mean - deviation, mean + deviation, color=style.rstrip("-:."), alpha=0.12, linewidth=0)


def _curves(runs: Sequence[StoredRun], criterion: str) -> list[Curve]:
    return [run.curve(run.criterion(criterion)) for run in runs]


def _draw_points(axes: Axes, results: Results, task: str, row: Row, color: str) -> None:
    cell = results.cell(row, task, "dev")
    published = None if results.published is None else results.published.find(row.label, row.speedup)
    if cell is not None and cell.layer_speedup is not None:
        marker = {None: "s", Oracle.name: "*"}.get(row.criterion, "o")
        axes.errorbar(
            [cell.layer_speedup],
            [cell.score],
            yerr=[cell.deviation or math.nan],
            fmt=marker,
            color=color,
            markersize=9 if marker == "*" else 6,
            capsize=3,
        )
        if marker != "o":
            axes.annotate(row.label, (cell.layer_speedup, cell.score), xytext=(6, 6), textcoords="offset points")
    if published is not None and task in published.scores:
        known = {text.get_label() for text in axes.get_children()}
        label = None if "published" in known else "published"
        axes.plot(published.speedup, published.scores[task], "D", color=color, fillstyle="none", label=label)


def _draw_oracle(axes: Axes, found: Evaluation, task: str, training: str, layers: Layers | None, color: str) -> None:
    runs = [run for run in found.runs_of(task, training) if run.exits.num_classes > 1]
    if runs and layers is not None:
        points = np.array([_oracle_point(run, layers) for run in runs])  # [seeds, 2]
        speedup, score = points.mean(0).tolist()
        axes.plot(speedup, score, "*", color=color, markersize=10, label=f"oracle ({training})")


def _oracle_point(run: StoredRun, layers: Layers) -> tuple[float, float]:
    curve = run.curve(Oracle())
    at = curve.index_at(Oracle.THRESHOLD)
    return layers.speedup(curve.mean_exit[at]).item(), 100 * curve.scores[run.metric][at].item()
