"""Draws the figures of the concept pages, for light and dark pages."""

from collections.abc import Callable
from typing import BinaryIO

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ee_lightning", "savefig.transparent": True})
BLUE, ORANGE, GREEN, GREY = "C0", "C1", "C2", "#8f8f8f"
LOOKS = {
    "light": ("#212121", ["#3f51b5", "#d84315", "#2e7d32"]),
    "dark": ("#e0e0e0", ["#9fa8da", "#ffab91", "#a5d6a7"]),
}
"""The colour of texts and lines, and those of what is drawn, by the kind of page."""


def exits(axes: plt.Axes) -> None:
    """An easy and a hard text pass the layers of an encoder; the easy one leaves early."""
    axes.figure.set_size_inches(7, 2.4)
    for layer in range(1, 7):
        axes.add_patch(plt.Rectangle((layer - 0.33, 0.2), 0.66, 1.1, color=GREY, alpha=0.25, lw=0))
        axes.text(layer, 0.08, f"layer {layer}", ha="center", va="top", fontsize=9)
        axes.plot([layer, layer], [1.3, 1.65], color=GREY, lw=1)
        colour = {2: ORANGE, 6: BLUE}.get(layer, GREY)
        axes.plot(layer, 1.8, "o", ms=17, mfc="none", mec=colour, mew=1.5)
        axes.text(layer, 1.79, str(layer), ha="center", va="center", fontsize=9)
    axes.text(0.45, 1.8, "exit", ha="right", va="center", fontsize=9)
    for text, said, height, last, colour in (
        ('"a gripping film"', "leaves at exit 2", 0.98, 2, ORANGE),
        ("a hard text", "passes all layers", 0.52, 6, BLUE),
    ):
        axes.text(0.45, height, text, ha="right", va="center", color=colour, fontsize=10)
        axes.plot([0.55, last], [height, height], color=colour, lw=2.2)
        axes.annotate("", (last, 1.66), (last, height), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.2})
        axes.text(last, 2.08, said, ha="center", color=colour, fontsize=10)
    axes.set(xlim=(-0.9, 6.8), ylim=(-0.15, 2.3))
    axes.axis("off")


def thresholds(axes: plt.Axes) -> None:
    """The scores of three texts after every exit, and a threshold."""
    axes.figure.set_size_inches(7, 3.2)
    layers = np.arange(1, 7)
    scores = {
        "an easy text": [0.71, 0.93, 0.96, 0.97, 0.98, 0.98],
        "a harder text": [0.55, 0.62, 0.74, 0.91, 0.94, 0.95],
        "a hard text": [0.52, 0.58, 0.55, 0.61, 0.66, 0.72],
    }
    axes.axhline(0.9, color=GREY, ls="--", label="threshold 0.9")
    for (name, values), colour in zip(scores.items(), (ORANGE, BLUE, GREEN), strict=True):
        reached = [index for index, value in enumerate(values) if value >= 0.9]
        leaves = reached[0] if reached else 5
        axes.plot(layers[: leaves + 1], values[: leaves + 1], "-o", color=colour, label=f"{name}: exit {leaves + 1}")
        axes.plot(layers[leaves:], values[leaves:], ":", color=colour)
    axes.set(xlabel="exit", ylabel="score (confidence)", ylim=(0.45, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def speedups(axes: plt.Axes) -> None:
    """The three speed-ups of one operating point: bars of what is counted."""
    axes.figure.set_size_inches(7, 2.1)
    for place, (full, early) in enumerate([(1, 0.5), (1, 0.51), (1, 0.57)]):
        axes.barh(place - 0.2, full, 0.35, color=GREY, label="full model" if place == 0 else None)
        axes.barh(place + 0.2, early, 0.35, color=ORANGE, label="early exit" if place == 0 else None)
        axes.text(early + 0.01, place + 0.2, f"{full / early:.2f}x", va="center", fontsize=9)
    axes.set_yticks(range(3), ["layers", "FLOPs", "clock"])
    axes.invert_yaxis()
    axes.set(xlabel="cost (the full model's is 1; a sketch, not a measurement)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def guarantees(axes: plt.Axes) -> None:
    """The half of a split that chooses a threshold, the half that measures it, and the interval of the loss."""
    axes.figure.set_size_inches(7, 2)
    for left, text, colour in ((0, "half 1 chooses the threshold", BLUE), (0.5, "half 2 measures it", ORANGE)):
        axes.barh(1, 0.495, left=left, color=colour, alpha=0.35)
        axes.text(left + 0.25, 1, text, ha="center", va="center", fontsize=10)
    axes.errorbar([0.7], [0.2], xerr=[[0.09], [0.12]], fmt="o", color=ORANGE, capsize=4)
    axes.axvline(0.9, 0, 0.4, color=GREY, ls="--")
    axes.text(0.91, 0.2, "budget", fontsize=10, va="center")
    axes.text(0.58, 0.2, "loss of accuracy, with its 95 % interval", fontsize=10, va="center", ha="right")
    axes.set(xlim=(0, 1.05), ylim=(-0.2, 1.5))
    axes.axis("off")


FIGURES: dict[str, Callable[[plt.Axes], None]] = {
    "exits": exits,
    "thresholds": thresholds,
    "speedups": speedups,
    "guarantees": guarantees,
}


def draw(name: str, look: str, file: BinaryIO) -> None:
    """Write a figure as SVG without a background, in the colours of light or dark pages."""
    ink, colours = LOOKS[look]
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    with plt.rc_context({**dict.fromkeys(inked, ink), "axes.prop_cycle": plt.cycler(color=colours)}):
        figure, axes = plt.subplots()
        FIGURES[name](axes)
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
