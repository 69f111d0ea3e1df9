"""Accuracy against speed-up, and clock against layers, as pictures."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ee_lightning.exits import Curve, Fixed, Oracle
from ee_lightning.exits.drawing import alike, draw_curve, lay_out
from ee_lightning.runs.figures import MeasuredSpeed

STYLES = [f"C{color}{dashes}" for dashes in ("-", "--", ":") for color in (0, 1, 2, 3, 4, 5, 6, 8, 9)]
"""Of lines, as matplotlib writes colour and dashes, all different and without C7, the grey of the exits."""


def draw_curves(
    by_title: Mapping[str, Sequence[Curve]], metric: str, chosen: tuple[str, float] | None = None
) -> Figure:
    """Draw a score against speed-up: a line a criterion with its band, and a dot each exit alone.

    The axis of speed-ups is spaced by executed layers, so that straight lines are what is read off between two
    operating points and the space under a line is its reported area. Criteria that differ nowhere by more than 0.2
    points share a line. The oracle, far above, is noted at the edge. The curves of each title, of a split that was
    evaluated, have axes of their own.

    Args:
        by_title: The curves.
        metric: The score.
        chosen: The criterion and threshold of the operating point to mark; None marks none.
    """
    figure = Figure(figsize=(8, 4.6 * len(by_title)), dpi=150, layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(len(by_title), squeeze=False).flat, by_title.items(), strict=True):
        _draw(axes, curves, metric, chosen)
        axes.set_title(title, loc="left", fontsize="medium", fontweight="bold")
    return figure


_MOST_BANDS = 5


def _draw(axes: Axes, curves: Sequence[Curve], metric: str, chosen: tuple[str, float] | None) -> None:
    methods = [curve for curve in curves if curve.criterion not in (Oracle.name, Fixed.name)]
    styles, groups = cycle(STYLES), alike(methods, metric)
    for group in groups:
        label, style = " \u2248 ".join(methods[place].criterion for place in group), next(styles)
        band = 0.14 if len(groups) <= _MOST_BANDS else 0.04
        draw_curve(axes, methods[group[0]], metric, style, band=band, label=label)
        for place in group:
            if chosen is not None and methods[place].criterion == chosen[0]:
                _mark(axes, methods[place], metric, chosen[1], style)
    by_name = {curve.criterion: curve for curve in curves}
    if (fixed := by_name.get(Fixed.name)) is not None:
        speedup, score = fixed.speedup.tolist(), (100 * fixed.scores[metric]).tolist()
        axes.plot(speedup, score, "o", color="grey", markersize=4, label="one exit alone")
        axes.axhline(score[0], color="grey", linewidth=0.8, linestyle=":", label="full model")
    lay_out(axes, curves[0].num_layers, metric)
    if (oracle := by_name.get(Oracle.name)) is not None:
        at = oracle.index_at(Oracle.THRESHOLD)
        note = f"oracle: {100 * oracle.scores[metric][at].item():.1f} at {oracle.speedup[at].item():.2f}x \u2191"
        axes.text(1, 1.02, note, transform=axes.transAxes, ha="right", va="bottom", fontsize="small", color="grey")
    columns = 1 + len(groups) // 9
    axes.legend(loc="lower left", fontsize="small", frameon=False, ncols=columns)


def _mark(axes: Axes, curve: Curve, metric: str, threshold: float, style: str) -> None:
    """Mark an operating point on its curve, with what it reaches."""
    at = curve.index_at(threshold)
    speedup, score = curve.speedup[at].item(), 100 * curve.scores[metric][at].item()
    color = style.rstrip("-:.")
    axes.plot(speedup, score, "D", color=color, markersize=8, markeredgecolor="white", label="chosen", zorder=5)
    axes.annotate(f"{score:.1f} at {speedup:.2f}x", (speedup, score), (7, 7), textcoords="offset points")


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
