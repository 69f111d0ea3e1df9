"""Run folders with all that was found, pictures among it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import ModuleType

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.errors import EarlyExitError
from ee_lightning.exits import Fitted
from ee_lightning.extras import as_missing_extra
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import CALIBRATION, RunFolder
from ee_lightning.runs.operating_point import OperatingPoint


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


def write_sweep(folder: RunFolder, found: Sweep, kept: Collection[str] = (), *, all_points: bool = False) -> None:
    """Write curves, plot, what was fitted, diagnostics and, last, the figures of a split into a run folder.

    The results of the criteria ``kept`` stay as they are there, beside those of the sweep. ``all_points`` is as in
    `RunFolder.write_curves`.
    """
    split, before = found.split, folder.read_results(found.split, kept)
    folder.write_curves(split, [*found.banded_curves, *before.curves], all_points=all_points)
    if (plots := plots_for(folder.curves_picture.name)) is not None:
        metric = found.summary["metrics"][0]
        by_title = {
            f"{found.summary['task']} {name}": drawn
            for name, curves in folder.read_curves().items()
            if (drawn := [curve for curve in curves if metric in curve.scores])  # other splits may lack the metric
        }
        picture = plots.draw_curves(by_title, metric, chosen_in(folder, found.exits.layers_of_exits))
        with folder.whole(folder.curves_picture.name) as file:
            picture.savefig(file, format="png")
    fitted = {criterion.name: criterion.fitted for criterion in found.criteria if isinstance(criterion, Fitted)}
    histograms = {**found.diagnostics["exit_histograms"], **before.histograms}
    folder.write_fitted(split, {**fitted, **before.fitted})
    diagnostics = {**found.diagnostics, "exit_histograms": histograms}
    if "leaving_auroc" in diagnostics:
        diagnostics["leaving_auroc"] = {**diagnostics["leaving_auroc"], **before.leaving_aurocs}
    folder.write_diagnostics(split, diagnostics)
    folder.write_summary(split, {**found.summary, "criteria": {**found.summary["criteria"], **before.figures}})


def chosen_in(folder: RunFolder, layers_of_exits: Sequence[int]) -> tuple[str, float] | None:
    """Return the criterion's name and the threshold of a run's operating point, if curves of these exits hold it.

    They do not if it asks other exits, or has a threshold for each.
    """
    try:
        point = OperatingPoint.read(folder.path)
        name = point.criterion.build().name
    except EarlyExitError:
        return None
    if not isinstance(point.threshold, float) or point.layers_of_exits != layers_of_exits:
        return None
    return name, point.threshold


def write_speed(folder: RunFolder, split: str, measured: Sequence[MeasuredSpeed]) -> None:
    """Write what was measured on a split, and the plot of all that the run folder holds."""
    folder.write_speed(split, measured)
    if (plots := plots_for("speed.png")) is not None:
        with folder.whole("speed.png") as file:
            plots.draw_speed(folder.read_speed()).savefig(file, format="png")


def plots_for(picture: str) -> ModuleType | None:
    """Return what draws, or tell that a picture is not drawn where what draws is not installed."""
    try:
        from ee_lightning.reporting import plots
    except ImportError as error:
        if (missing := as_missing_extra(error)) is None:
            raise
        print(f"{picture} is not drawn: {missing}")
        return None
    return plots
