"""How figures are written."""

from ee_lightning.reproduce.results.cells import Cell
from ee_lightning.reproduce.results.paired_bootstrap import Difference
from ee_lightning.reproduce.results.stored_run import DEV, Variant
from ee_lightning.reproduce.suites.suite import Suite

LETTERS: dict[Variant, str] = {"dev": "a", "held_out": "b"}
FEW_SEEDS = 3
"""Fewer say little of other seeds."""


def reported(suite: Suite) -> str:
    """Say of which rows scores are reported."""
    return "the dev set" if suite.split == DEV else "the test set"


def counted(number: int, what: str) -> str:
    """Say how many there are."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def signed(points: float) -> str:
    """Write a difference with its sign."""
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", "−")


def p_value(difference: Difference) -> str:
    """Write a p-value."""
    return "p < 0.001" if difference.p_value < 0.001 else f"p = {difference.p_value:.2g}"


def score(cell: Cell, most_seeds: int) -> str:
    """Write a score with its deviation, and with its number of seeds where others have more."""
    deviation = "" if cell.deviation is None else f" ± {cell.deviation:.1f}"
    seeds = f" (n={cell.num_seeds})" if cell.num_seeds < most_seeds else ""
    return f"{cell.score:.1f}{deviation}{seeds}".replace("-", "−")


def beside(cell: Cell) -> str:
    """Write the published figure and the difference from it; nothing where there is none."""
    return "" if cell.difference is None else f"[{cell.published:.1f}, {signed(cell.difference)}]"


def speed(factor: float | None) -> str:
    """Write a speed-up."""
    return "–" if factor is None else f"{factor:.2f}x"


def speeds(cell: Cell) -> str:
    """Write the speed-ups by layers, by FLOPs and on the clock."""
    return " · ".join(speed(factor) for factor in (cell.layer_speedup, cell.flops_speedup, cell.wall_speedup))
