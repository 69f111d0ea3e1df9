"""The speed-up on the clock as a picture."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ee_lightning.operating import MeasuredSpeed


def draw_speed(by_split: Mapping[str, Sequence[MeasuredSpeed]]) -> Figure:
    """Draw speed-up on the clock against speed-up by layers: a line a batch size, whiskers for quartiles.

    On the diagonal the clock keeps what the layers promise.

    Args:
        by_split: What was measured on each split; the measurements of each criterion have axes of their own, one above
            the other, those of a criterion beside each other.

    Returns:
        The figure, to be saved by its own ``savefig``.
    """
    panels: dict[tuple[str, str], list[MeasuredSpeed]] = {}
    for split, measured in by_split.items():
        for each in measured:
            panels.setdefault((split, each.criterion), []).append(each)
    figure = Figure(figsize=(7, 5 * len(panels)), dpi=150, layout="constrained")
    for axes, ((split, criterion), measured) in zip(
        figure.subplots(len(panels), squeeze=False).flat, panels.items(), strict=True
    ):
        _draw(axes, measured)
        axes.set_title(f"{criterion}, {split}\n{measured[0].conditions}", fontsize="medium")
    return figure


def _draw(axes: Axes, measured: Sequence[MeasuredSpeed]) -> None:
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
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.yaxis.set_major_formatter("{x:g}x")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
