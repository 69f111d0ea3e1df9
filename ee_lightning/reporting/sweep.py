"""What a sweep of the exits finds, as both the callback and the command line write it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion, Curve, Fitted, Fixed, Oracle, StoredExits, trace_curve
from ee_lightning.files import reading
from ee_lightning.functional import Kind
from ee_lightning.operating import CriterionRecipe
from ee_lightning.reporting.diagnostics import diagnose
from ee_lightning.reporting.plots import draw_curves
from ee_lightning.reporting.run_folder import CURVES, RunFolder
from ee_lightning.reporting.summary import summarise

WITHOUT_CURVE = ("spearman",)
"""Metrics that don't add up over samples, so that only whole exits have them."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """All criteria on the stored exits of a split.

    Attributes:
        exits: The stored exits.
        criteria: The criteria, those that fit something fitted.
        curves: Their curves, in the same order, then those of the oracle (not for regression) and the fixed exits.
        summary: The figures of ``summary.json``.
    """

    exits: StoredExits
    criteria: Sequence[Criterion]
    curves: Sequence[Curve]
    summary: dict[str, Any]

    @cached_property
    def diagnostics(self) -> dict[str, Any]:
        """The figures of ``diagnostics.json``."""
        return diagnose(self.exits, self.criteria, self.curves)


def distinct(criteria: Sequence[Criterion]) -> list[Criterion]:
    """Leave out the oracle and the fixed exits, which every sweep has in any case.

    Raises:
        OptionError: Two criteria have the same name, or there is none.
    """
    methods = [criterion for criterion in criteria if criterion.name not in (Oracle.name, Fixed.name)]
    names = [method.name for method in methods]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OptionError(
            f"two exit criteria have the same name: {', '.join(twice)}",
            where="the list of criteria",
            mend="list each criterion once, or give the two different options",
        )
    return methods


def fit_criteria(criteria: Sequence[Criterion], calibration: StoredExits | None) -> None:
    """Fit those criteria that fit something.

    Args:
        criteria: Any criteria.
        calibration: The stored exits of the rows held out for this.

    Raises:
        OptionError: A criterion has to be fitted and no rows were held out.
    """
    for criterion in criteria:
        if not isinstance(criterion, Fitted):
            continue
        if calibration is None:
            raise OptionError(
                f"the criterion {criterion.name} fits parameters, and no rows were held out for that",
                where="the list of criteria",
                mend="hold rows out of training with --data.calibration 500, or leave the criterion out",
            )
        criterion.fit(calibration)


def fit_recipe(recipe: CriterionRecipe, calibration: StoredExits | None) -> CriterionRecipe:
    """Add to a recipe what its criterion learns, if it fits something; see `fit_criteria`."""
    criterion = recipe.build()
    fit_criteria([criterion], calibration)
    return replace(recipe, fitted=criterion.fitted) if isinstance(criterion, Fitted) else recipe


def sweep_exits(
    criteria: Sequence[Criterion],
    exits: StoredExits,
    calibration: StoredExits | None,
    *,
    task: str,
    metrics: Sequence[str],
    checkpoint: str | None = None,
) -> Sweep:
    """Trace the curve of every criterion, of every exit alone and, but for regression, of the oracle.

    Args:
        criteria: Distinct criteria, without the oracle and the fixed exits.
        exits: The stored exits of the split to report on.
        calibration: Those of the rows that were held out for the criteria that fit something.
        task: The name of the task.
        metrics: Names of its metrics, the primary one first; those that curves can't have are left out.
        checkpoint: The file of the weights, as `RunFolder.name_of` names it, where they are of one.

    Raises:
        OptionError: A criterion has to be fitted and no rows were held out.
    """
    fit_criteria(criteria, calibration)
    references = [Fixed()] if exits.kind is Kind.REGRESSION else [Oracle(), Fixed()]
    metrics = [metric for metric in metrics if metric not in WITHOUT_CURVE]
    curves = [trace_curve(criterion, exits, metrics) for criterion in (*criteria, *references)]
    about = {"task": task, "checkpoint": checkpoint, "samples": exits.num_samples}
    if exits.rows.total is not None:
        about |= {"total": exits.rows.total, "drawn_at_random": exits.rows.is_drawn}
    return Sweep(exits, criteria, curves, {**about, **summarise(curves, metrics)})


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
    with reading(folder.path / CURVES, mend="delete it, and run curves again"):  # which may hold other splits
        picture = draw_curves(by_title, found.summary["metrics"][0])
    with folder.whole(folder.curves_picture.name) as file:
        picture.savefig(file, format="png")
    fitted = {criterion.name: criterion.fitted for criterion in found.criteria if isinstance(criterion, Fitted)}
    histograms = {**found.diagnostics["exit_histograms"], **before.histograms}
    folder.write_fitted(split, {**fitted, **before.fitted})
    folder.write_diagnostics(split, {**found.diagnostics, "exit_histograms": histograms})
    folder.write_summary(split, {**found.summary, "criteria": {**found.summary["criteria"], **before.figures}})
