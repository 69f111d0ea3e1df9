"""The accuracy-versus-speed curve as a picture."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ee_lightning.exits import Curve, Fixed, Oracle

_TICKS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 6, 8, 12, 24)
_STYLES = ("-", "--", "-.", ":")


def draw_curves(title: str, curves: Sequence[Curve], metric: str) -> Figure:
    """Draw a score against speed-up: a line a criterion, a dot each exit alone, a star the oracle.

    The axis of speed-ups is spaced by executed layers, so that straight lines are what is read off between two
    operating points and the space under a line is its reported area.

    Args:
        title: What was evaluated.
        curves: The curves of a split.
        metric: The metric to draw, in percent.

    Returns:
        The figure, to be saved by its own ``savefig``.
    """
    figure = Figure(figsize=(9, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    styles = cycle(_STYLES)
    for curve in curves:
        speedup, score = curve.speedup.tolist(), (100 * curve.scores[metric]).tolist()
        if curve.criterion == Oracle.name:
            at = curve.index_at(1.0)
            axes.plot(speedup[at], score[at], "*", color="black", markersize=12, label="oracle")
        elif curve.criterion == Fixed.name:
            axes.plot(speedup, score, "o", color="grey", markersize=5, label="one exit alone")
            axes.axhline(score[0], color="grey", linewidth=0.8, linestyle=":", label="full model")
        else:
            few = len(score) <= 4 * curve.num_exits
            axes.plot(speedup, score, next(styles), linewidth=1.6, marker="." if few else None, label=curve.criterion)
    num_exits = curves[0].num_exits
    axes.set_xscale("function", functions=(_cost, _cost))
    axes.set_xlim(0.97, 1.2 * num_exits)
    axes.set_xticks([tick for tick in _TICKS if tick <= num_exits], minor=False)
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.set(title=title, xlabel="speed-up: all layers / mean executed layers", ylabel=f"{metric} (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    return figure


def _cost(speedup: NDArray[np.floating]) -> NDArray[np.floating]:
    """Turn speed-ups into relative costs with the sign turned, and back: it is its own inverse."""
    with np.errstate(divide="ignore"):
        return -1 / np.asarray(speedup)
