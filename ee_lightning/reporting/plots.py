"""Accuracy against speed-up, and clock against layers, as pictures."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ee_lightning.exits import Curve, Fixed, Oracle
from ee_lightning.runs.figures import MeasuredSpeed

_TICKS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 6, 8, 12, 24)
STYLES = [f"C{color}{dashes}" for dashes in ("-", "--", ":") for color in (0, 1, 2, 3, 4, 5, 6, 8, 9)]
"""Of lines, as matplotlib writes colour and dashes, all different and without C7, the grey of the exits."""


def draw_curves(by_title: Mapping[str, Sequence[Curve]], metric: str) -> Figure:
    """Draw a score against speed-up: a line a criterion, a dot each exit alone, a star the oracle.

    The axis of speed-ups is spaced by executed layers, so that straight lines are what is read off between two
    operating points and the space under a line is its reported area. Criteria whose points are the same share a line.
    The curves of each title, of a split that was evaluated, have axes of their own.
    """
    figure = Figure(figsize=(9, 5 * len(by_title)), dpi=150, layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(len(by_title), squeeze=False).flat, by_title.items(), strict=True):
        _draw(axes, curves, metric)
        axes.set_title(title)
    return figure


def _draw(axes: Axes, curves: Sequence[Curve], metric: str) -> None:
    styles, by_points = cycle(STYLES), defaultdict(list)
    for curve in curves:
        by_points[*curve.mean_exit.tolist(), *curve.scores[metric].tolist()].append(curve)
    for same in by_points.values():
        curve, label = same[0], " = ".join(curve.criterion for curve in same)
        speedup, score = curve.speedup.tolist(), (100 * curve.scores[metric]).tolist()
        if curve.criterion == Oracle.name:
            at = curve.index_at(Oracle.THRESHOLD)
            axes.plot(speedup[at], score[at], "*", color="black", markersize=12, label=label)
        elif curve.criterion == Fixed.name:
            axes.plot(speedup, score, "o", color="grey", markersize=5, label="one exit alone")
            axes.axhline(score[0], color="grey", linewidth=0.8, linestyle=":", label="full model")
        else:
            few = len(score) <= 4 * curve.num_layers
            axes.plot(speedup, score, next(styles), linewidth=1.6, marker="." if few else None, label=label)
    lay_out(axes, curves[0].num_layers, metric)


def lay_out(axes: Axes, num_layers: int, metric: str) -> None:
    """Set the scale of speed-ups up to all layers, spaced by executed layers, labels, grid and legend, at the end."""
    axes.set_xscale("function", functions=(_cost, _cost))
    axes.set_xlim(0.97, 1.2 * num_layers)
    axes.set_xticks([tick for tick in _TICKS if tick <= num_layers], minor=False)
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.set(xlabel="speed-up: all layers / mean executed layers", ylabel=f"{metric} (%)")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small")


def _cost(speedup: NDArray[np.floating]) -> NDArray[np.floating]:
    """Turn speed-ups into relative costs with the sign turned, and back: it is its own inverse."""
    with np.errstate(divide="ignore"):
        return -1 / np.asarray(speedup)


def draw_speed(by_split: Mapping[str, Sequence[MeasuredSpeed]]) -> Figure:
    """Draw speed-up on the clock against speed-up by layers: a line a batch size, whiskers for quartiles.

    On the diagonal the clock keeps what the layers promise. Each criterion of a split has axes of its own.
    """
    panels = defaultdict(list)
    for split, measured in by_split.items():
        for each in measured:
            panels[split, each.criterion].append(each)
    figure = Figure(figsize=(7, 5 * len(panels)), dpi=150, layout="constrained")
    for axes, ((split, criterion), measured) in zip(
        figure.subplots(len(panels), squeeze=False).flat, panels.items(), strict=True
    ):
        _draw_measured(axes, measured)
        axes.set_title(f"{criterion}, {split}\n{measured[0].conditions}", fontsize="medium")
    return figure


def _draw_measured(axes: Axes, measured: Sequence[MeasuredSpeed]) -> None:
    for number, batch_size in enumerate(dict.fromkeys(each.batch_size for each in measured)):
        line = sorted((each for each in measured if each.batch_size == batch_size), key=lambda each: each.layer_speedup)
        axes.errorbar(
            [each.layer_speedup for each in line],
            [each.wall_speedup for each in line],
            yerr=[
                [each.wall_speedup - each.wall_speedup_low for each in line],
                [each.wall_speedup_high - each.wall_speedup for each in line],
            ],
            fmt=f"C{number}.-",
            capsize=3,
            label=f"batches of {batch_size}" if batch_size.isdecimal() else f"{batch_size}, breadth first",
        )
    farthest = max(1.0, *(each.layer_speedup for each in measured))
    axes.plot([1, farthest], [1, farthest], color="grey", linewidth=0.8, linestyle=":", label="as by layers")
    axes.set(xlabel="speed-up by layers", ylabel="speed-up on the clock")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}x")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
