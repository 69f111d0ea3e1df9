"""Draws the figures of the concept pages."""

from collections.abc import Callable
from typing import BinaryIO

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ee_lightning"})
BLUE, ORANGE, GREY = "#3f51b5", "#ef6c00", "#9e9e9e"


def _save(figure: plt.Figure, file: BinaryIO) -> None:
    figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def exits(file: BinaryIO) -> None:
    """An easy and a hard text pass the layers of an encoder; the easy one leaves early."""
    figure, axes = plt.subplots(figsize=(7, 2.2))
    for layer in range(1, 7):
        axes.add_patch(plt.Rectangle((layer - 0.3, 0.2), 0.6, 1.1, color=BLUE, alpha=0.15))
        axes.text(layer, 0.02, f"layer {layer}", ha="center", va="top", fontsize=8)
        axes.add_patch(plt.Circle((layer + 0.4, 1.75), 0.12, color=GREY, alpha=0.6))
        axes.plot([layer + 0.4, layer + 0.4], [1.0, 1.63], color=GREY, lw=0.8)
    axes.text(0.1, 1.75, "exits", va="center", fontsize=8)
    axes.annotate("", (2.4, 1.6), (0.2, 0.95), arrowprops={"arrowstyle": "->", "color": ORANGE, "lw": 2})
    axes.text(2.4, 1.95, '"a gripping film" leaves at exit 2', color=ORANGE, fontsize=9, ha="center")
    axes.annotate("", (6.4, 1.6), (0.2, 0.5), arrowprops={"arrowstyle": "->", "color": BLUE, "lw": 2})
    axes.text(6.4, 1.95, "a hard text needs all layers", color=BLUE, fontsize=9, ha="center")
    axes.set(xlim=(0, 7.8), ylim=(-0.2, 2.2))
    axes.axis("off")
    _save(figure, file)


def thresholds(file: BinaryIO) -> None:
    """The scores of three texts after every exit, and a threshold."""
    layers = np.arange(1, 7)
    scores = {
        "easy": [0.71, 0.93, 0.96, 0.97, 0.98, 0.98],
        "middling": [0.55, 0.62, 0.74, 0.91, 0.94, 0.95],
        "hard": [0.52, 0.58, 0.55, 0.61, 0.66, 0.72],
    }
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.axhline(0.9, color=GREY, ls="--", label="threshold 0.9")
    for (name, values), color in zip(scores.items(), (ORANGE, BLUE, "#2e7d32"), strict=True):
        reached = [index for index, value in enumerate(values) if value >= 0.9]
        leaves = reached[0] if reached else 5
        axes.plot(layers[: leaves + 1], values[: leaves + 1], "-o", color=color, label=f"{name}: exit {leaves + 1}")
        axes.plot(layers[leaves:], values[leaves:], ":", color=color, alpha=0.5)
    axes.set(xlabel="exit", ylabel="score (confidence)", ylim=(0.45, 1.02))
    axes.legend(fontsize=8, loc="lower right")
    _save(figure, file)


def speedups(file: BinaryIO) -> None:
    """The three speed-ups of one operating point: bars of what is counted."""
    figure, axes = plt.subplots(figsize=(6, 1.9))
    names = ["layers", "FLOPs", "clock"]
    for place, (full, early) in enumerate([(1, 0.5), (1, 0.51), (1, 0.57)]):
        axes.barh(place - 0.2, full, 0.35, color=GREY, label="full model" if place == 0 else None)
        axes.barh(place + 0.2, early, 0.35, color=ORANGE, label="early exit" if place == 0 else None)
        axes.text(early + 0.01, place + 0.2, f"{full / early:.2f}x", va="center", fontsize=8)
    axes.set_yticks(range(3), names)
    axes.invert_yaxis()
    axes.set(xlabel="cost (the full model's is 1; a sketch, not a measurement)")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _save(figure, file)


def guarantees(file: BinaryIO) -> None:
    """The split that chooses a threshold, the one that measures it, and the interval of the loss."""
    figure, axes = plt.subplots(figsize=(6, 1.8))
    axes.barh(1, 0.5, color=BLUE, alpha=0.3)
    axes.barh(1, 0.5, left=0.5, color=ORANGE, alpha=0.3)
    axes.text(0.25, 1, "half 1: choose the threshold", ha="center", va="center", fontsize=9)
    axes.text(0.75, 1, "half 2: measure it", ha="center", va="center", fontsize=9)
    axes.errorbar([0.75], [0.2], xerr=[[0.09], [0.12]], fmt="o", color=ORANGE, capsize=4)
    axes.axvline(0.92, 0, 0.4, color=GREY, ls="--")
    axes.text(0.93, 0.2, "budget", fontsize=9, va="center")
    axes.text(0.2, 0.2, "loss, with its 95 % interval", fontsize=9, va="center", ha="left")
    axes.set(xlim=(0, 1.08), ylim=(-0.2, 1.5))
    axes.axis("off")
    _save(figure, file)


FIGURES: dict[str, Callable[[BinaryIO], None]] = {
    "exits": exits,
    "thresholds": thresholds,
    "speedups": speedups,
    "guarantees": guarantees,
}
