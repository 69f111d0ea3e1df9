"""Curves on the axes of matplotlib: a score against speed-up."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ee_lightning.exits.curve import Curve

_TICKS = (1, 1.25, 1.5, 2, 3, 4, 6, 12, 24)
_SAME = 0.002
POINTS = 201
"""At how many costs curves are read that are set side by side."""


def draw_curve(
    axes: "Axes", curve: "Curve", metric: str, style: str = "-", *, band: float = 0.15, **of_line: Any
) -> None:
    """Draw a curve in percent, and its band, if it has one, as opaque as ``band`` says."""
    speedup, score = curve.speedup.tolist(), (100 * curve.scores[metric]).tolist()
    marker = "." if len(score) <= 4 * curve.num_layers else None
    (line,) = axes.plot(speedup, score, style, **{"linewidth": 1.6, "marker": marker, **of_line})
    if band and metric in curve.bands:
        low, high = ((100 * end).tolist() for end in curve.bands[metric])
        axes.fill_between(speedup, low, high, color=line.get_color(), alpha=band, linewidth=0)


def lay_out(axes: "Axes", num_layers: int, metric: str) -> None:
    """Set the scale of speed-ups up to all layers, spaced by executed layers, with its ticks; and labels and grid."""
    axes.set_xscale("function", functions=(_cost, _cost))
    axes.set_xlim(0.985, 1.12 * num_layers)
    axes.set_xticks([tick for tick in _TICKS if tick <= num_layers], minor=False)
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.set(xlabel="speed-up by layers: all layers / mean layers that run", ylabel=f"{metric.replace('_', ' ')} (%)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _cost(speedup: NDArray[np.floating]) -> NDArray[np.floating]:
    """Turn speed-ups into relative costs with the sign turned, and back: it is its own inverse."""
    with np.errstate(divide="ignore"):
        return -1 / np.asarray(speedup)


def alike(curves: "Sequence[Curve]", metric: str) -> list[list[int]]:
    """Return the positions of curves by groups: those that differ nowhere by more than 0.2 points share a line.

    A curve of few points, which is read between them, is not put together with one of many.
    """
    read = [_read(curve, metric) for curve in curves]  # [layers] each
    is_few = [len(curve.thresholds) <= 4 * curve.num_layers for curve in curves]

    def are_alike(one: int, other: int) -> bool:
        reach = np.isnan(read[one]), np.isnan(read[other])
        far = np.abs(read[one] - read[other])
        return is_few[one] == is_few[other] and np.array_equal(*reach) and bool(np.nanmax(far) <= _SAME)

    groups: list[list[int]] = []
    for place in range(len(curves)):
        group = next((group for group in groups if are_alike(group[0], place)), None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    return groups


def mean_curve(curves: "Sequence[Curve]", metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the curves of several seeds, of as many layers, at the same speed-ups, evenly spaced by executed layers.

    Returns:
        Speed-ups, of shape [points], and scores in percent, of shape [curves, points]; NaN where a curve does not
        reach.
    """
    num_layers = curves[0].num_layers
    speedups = num_layers / np.linspace(num_layers, 1, POINTS)  # [points]
    return speedups, np.stack([100 * _read(curve, metric)[::-1] for curve in curves])


def _read(curve: "Curve", metric: str) -> NDArray[np.float64]:
    """Return a curve's score at numbers of layers, evenly spaced from 1 to all, [points]; NaN where it does not reach.

    Of operating points with the same mean number of layers the one with the highest threshold counts.
    """
    layers, score = curve.mean_exit.numpy(), curve.scores[metric].numpy()
    is_first = np.diff(layers, prepend=np.inf) != 0
    layers, score = layers[is_first][::-1], score[is_first][::-1]
    at = np.linspace(1, curve.num_layers, POINTS)
    return np.where(at < layers[0] - 1e-9, np.nan, np.interp(at, layers, score))
