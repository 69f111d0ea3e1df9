"""The accuracy-versus-speed curve as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ee_lightning.exits import Curve, Fixed, Oracle


def plot_curves(path: Path, title: str, curves: Sequence[Curve], metric: str) -> None:
    """Draw score against speed-up: a line a criterion, a dot each exit alone, a star the oracle.

    Args:
        path: The PNG file to write.
        title: What was evaluated.
        curves: The curves of a split.
        metric: The metric to draw, in percent.
    """
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        score = (100 * curve.scores[metric]).tolist()
        speedup = curve.speedup.tolist()
        if curve.criterion == Oracle.name:
            at = curve.index_at(1.0)
            axes.plot(speedup[at], score[at], "*", color="black", markersize=12, label="oracle")
        elif curve.criterion == Fixed.name:
            axes.plot(speedup, score, "o", color="grey", markersize=5, label="one exit alone")
            axes.axhline(score[0], color="grey", linewidth=0.8, linestyle=":", label="full model")
        else:
            few = len(score) <= 4 * curve.num_exits
            axes.plot(speedup, score, linewidth=1.6, marker="." if few else None, label=curve.criterion)
    axes.set(title=title, xlabel="speed-up: exits / mean executed layers", ylabel=f"{metric} (%)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png")
