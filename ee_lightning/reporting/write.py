"""Writes what was found into the run folder, with its pictures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.exits import Fitted
from ee_lightning.files import reading
from ee_lightning.reporting.plots import draw_curves, draw_speed
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import CALIBRATION, CURVES, RunFolder


@dataclass
class FolderSink:
    """Writes the sweeps of a run into its folder."""

    folder: RunFolder

    def take_sweep(self, found: Sweep) -> None:
        """Write the scores of every exit after an epoch, or exits, speeds and all else that an evaluation found."""
        if found.epoch is not None:
            self.folder.write_exit_scores(found.epoch, found.exit_scores)
            return
        self.folder.write_exits(found.split, found.exits)
        if found.calibration is not None:
            self.folder.write_exits(CALIBRATION, found.calibration)
        if found.measured:
            write_speed(self.folder, found.split, found.measured)
        write_sweep(self.folder, found)


def write_sweep(folder: RunFolder, found: Sweep, kept: Collection[str] = ()) -> None:
    """Write curves, plot, what was fitted, diagnostics and, last, the figures of a split into a run folder.

    Args:
        folder: The run folder.
        found: The sweep.
        kept: The names of criteria whose results stay as they are in the folder, beside those of the sweep.
    """
    split, before = found.split, folder.read_results(found.split, kept)
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
