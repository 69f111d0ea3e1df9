"""Writes what was found into the run folder, with its pictures."""

from collections.abc import Collection, Sequence

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.exits import Fitted
from ee_lightning.files import reading
from ee_lightning.reporting.plots import draw_curves, draw_speed
from ee_lightning.runs.folder import CURVES, RunFolder
from ee_lightning.runs.measured import MeasuredSpeed


def write_sweep(folder: RunFolder, split: str, found: Sweep, kept: Collection[str] = ()) -> None:
    """Write curves, plot, what was fitted, diagnostics and, last, the figures of a split into a run folder.

    Args:
        folder: The run folder.
        split: The name of the split.
        found: The sweep.
        kept: The names of criteria whose results stay as they are in the folder, beside those of the sweep.
    """
    before = folder.read_results(split, kept)
    folder.write_curves(split, [*found.curves, *before.curves])
    by_title = {f"{found.summary['task']} {name}": curves for name, curves in folder.read_curves().items()}
    with reading(folder.path / CURVES, hint="delete it, and run curves again"):  # which may hold other splits
        picture = draw_curves(by_title, found.summary["metrics"][0])
    with folder.whole(folder.curves_picture.name) as file:
        picture.savefig(file, format="png")
    fitted = {criterion.name: criterion.fitted for criterion in found.criteria if isinstance(criterion, Fitted)}
    histograms = {**found.diagnostics["exit_histograms"], **before.histograms}
    folder.write_fitted(split, {**fitted, **before.fitted})
    folder.write_diagnostics(split, {**found.diagnostics, "exit_histograms": histograms})
    folder.write_summary(split, {**found.summary, "criteria": {**found.summary["criteria"], **before.figures}})


def write_speed(folder: RunFolder, split: str, measured: Sequence[MeasuredSpeed]) -> None:
    """Write what was measured on a split, and the plot of all that the run folder holds."""
    folder.write_speed(split, measured)
    with folder.whole("speed.png") as file:
        draw_speed(folder.read_speed()).savefig(file, format="png")
