"""A sweep of stored exits: curves, figures and diagnostics, for the callback and the command line alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isnan
from typing import Any, Protocol

from ee_lightning.analysis.diagnostics import diagnose, diagnostic_scalars
from ee_lightning.errors import OptionError
from ee_lightning.exits import (
    CRITERIA,
    Criterion,
    Curve,
    Fitted,
    Fixed,
    Oracle,
    StoredExits,
    trace_curve,
)
from ee_lightning.exits.bands import Bands
from ee_lightning.exits.naming import CriterionSpec, spec_of
from ee_lightning.functional import (
    WITHOUT_CURVE,
    Kind,
    rank_score,
)
from ee_lightning.runs.figures import NAMED_SPEEDUPS, MeasuredSpeed


def summarise(curves: Sequence[Curve], metrics: Sequence[str]) -> dict[str, Any]:
    """Reduce curves to the figures of ``summary.json``, see `ee_lightning.runs.figures.Figures`.

    Args:
        curves: The curves of a split, that of the fixed exits and but for regression that of the oracle among them.
        metrics: Metric names, the primary one first.

    Returns:
        ``metrics``, ``num_exits``, ``layers_of_exits``, ``exits``, ``full_model``, ``oracle``; ``criteria``, by name
        and metric the ``area`` and the scores at the named speed-ups, None where a curve does not reach.
    """
    by_name = {curve.criterion: curve for curve in curves}
    fixed, oracle = by_name.pop(Fixed.name), by_name.pop(Oracle.name, None)
    every_exit = [fixed.index_at(exit_layer) for exit_layer in range(1, len(fixed.thresholds))]
    exits = {metric: [float(fixed.scores[metric][index]) for index in every_exit] for metric in metrics}
    best = None
    if oracle is not None:
        point = oracle.index_at(Oracle.THRESHOLD)
        best = {
            "speedup": oracle.speedup[point].item(),
            **{name: oracle.scores[name][point].item() for name in metrics},
        }
    return {
        "metrics": list(metrics),
        "num_exits": len(every_exit),
        "layers_of_exits": [round(fixed.mean_exit[index].item()) for index in every_exit],
        "exits": exits,
        "full_model": {metric: scores[-1] for metric, scores in exits.items()},
        "oracle": best,
        "criteria": {
            name: {metric: _figures(curve, metric, fixed) for metric in metrics} for name, curve in by_name.items()
        },
    }


def _figures(curve: Curve, metric: str, fixed: Curve) -> dict[str, float | None]:
    figures = {"area": curve.area(metric, fixed)}
    figures |= {f"score_at_{speedup:g}x": curve.score_at(speedup, metric) for speedup in NAMED_SPEEDUPS}
    return {name: None if isnan(value) else value for name, value in figures.items()}


def scalars(summary: Mapping[str, Any], stage: str) -> dict[str, float]:
    """Flatten the primary metric's figures for loggers.

    The names are stable: ``<stage>/<criterion>/area``, ``<stage>/<criterion>/score_at_<speed-up>x``,
    ``<stage>/full_model/score``, ``<stage>/oracle/score`` and ``<stage>/oracle/speedup``.
    """
    metric = summary["metrics"][0]
    flat = {
        f"{stage}/{criterion}/{name}": value
        for criterion, by_metric in summary["criteria"].items()
        for name, value in by_metric[metric].items()
        if value is not None
    }
    flat[f"{stage}/full_model/score"] = summary["full_model"][metric]
    if (oracle := summary["oracle"]) is not None:
        flat |= {f"{stage}/oracle/score": oracle[metric], f"{stage}/oracle/speedup": oracle["speedup"]}
    return flat


_MEASURED_AT = "32"  # the batch size of the measured speeds that are logged


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep of all criteria over a split found.

    Attributes:
        split: The split's name.
        exits: Its stored exits.
        calibration: Those of the rows held out for the criteria that fit something; None where there are none.
        criteria: The criteria, those that fit something fitted.
        curves: Their curves, in the same order, then those of the oracle (not for regression) and the fixed exits.
        summary: The figures of ``summary.json``.
        exit_scores: By metric the score of every exit, also for metrics without a curve; a replay leaves them out.
        measured: The speed on the clock near the named speed-ups, where it was measured.
        epoch: The epoch of training that it follows; None of an evaluation.
        step: The optimiser steps before it; None where that is not known.
    """

    split: str
    exits: StoredExits
    calibration: StoredExits | None
    criteria: Sequence[Criterion]
    curves: Sequence[Curve]
    summary: dict[str, Any]
    exit_scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    measured: Sequence[MeasuredSpeed] = ()
    epoch: int | None = None
    step: int | None = None

    @cached_property
    def diagnostics(self) -> dict[str, Any]:
        """The figures of ``diagnostics.json``."""
        return diagnose(self.exits, self.criteria, self.curves)

    @cached_property
    def banded_curves(self) -> list[Curve]:
        """The curves with their bands; see `ee_lightning.exits.bands`."""
        bands = Bands(self.exits)
        references = {each.name: each for each in (Oracle(), Fixed())}
        by_name = references | {criterion.name: criterion for criterion in self.criteria}
        return [bands.around(curve, by_name[curve.criterion]) for curve in self.curves]

    def __repr__(self) -> str:
        metric, *_ = self.summary["metrics"]
        columns = [f"score_at_{speedup:g}x" for speedup in NAMED_SPEEDUPS] + ["area"]
        heads = [f"{metric} (%)", *(name.removeprefix("score_at_") for name in columns)]
        lines = [
            [name, *(by_metric[metric][column] for column in columns)]
            for name, by_metric in self.summary["criteria"].items()
        ]
        lines.append(["full model", self.summary["full_model"][metric], *[None] * (len(columns) - 1)])
        width = max(len(str(line[0])) for line in (heads, *lines))
        shown = [["–" if value is None else f"{100 * value:.1f}" for value in line[1:]] for line in lines]
        rows = [[line[0], *figures] for line, figures in zip(lines, shown, strict=True)]
        table = ["".join([f"{line[0]:<{width}}", *(f"{each:>7}" for each in line[1:])]) for line in (heads, *rows)]
        return "\n".join([f"Sweep of {self.split}: {self.exits}", *table])

    @property
    def stage(self) -> str:
        """The prefix of all that is logged of the split."""
        return {"validation": "val"}.get(self.split, self.split)

    def near_named_speedups(self) -> dict[tuple[str, float], float]:
        """Return each criterion's threshold near every named speed-up above 1, by its name and the speed-up."""
        return {
            (curve.criterion, speedup): curve.threshold_near(speedup)
            for curve in self.curves[: len(self.criteria)]
            for speedup in NAMED_SPEEDUPS
            if speedup > 1
        }

    def scalars(self) -> dict[str, float]:
        """Flatten the figures of `scalars` and `diagnostic_scalars`, and the measured speed in batches of 32.

        The names of that are stable too: ``<stage>/<criterion>/wall_speedup_at_<speed-up>x``.
        """
        wall = {(each.criterion, each.threshold): each for each in self.measured if each.batch_size == _MEASURED_AT}
        speeds = {
            f"{self.stage}/{criterion}/wall_speedup_at_{speedup:g}x": wall[criterion, threshold].wall_speedup
            for (criterion, speedup), threshold in (self.near_named_speedups() if wall else {}).items()
        }
        return scalars(self.summary, self.stage) | diagnostic_scalars(self.diagnostics, self.stage) | speeds


class SweepSink(Protocol):
    """What takes the sweeps of a run: its folder, a logger, the terminal."""

    def take_sweep(self, found: Sweep) -> None:
        """Take what was found after an epoch of training, or by an evaluation."""


def distinct(criteria: Sequence[Criterion]) -> list[Criterion]:
    """Leave out the oracle and the fixed exits, which every sweep has; raise an `OptionError` if two have one name."""
    methods = [criterion for criterion in criteria if criterion.name not in (Oracle.name, Fixed.name)]
    names = [method.name for method in methods]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OptionError(
            f"two exit criteria have the same name: {', '.join(twice)}",
            where="the list of criteria",
            hint="list each criterion once, or give the two different options",
        )
    return methods


def fit_criteria(criteria: Sequence[Criterion], calibration: StoredExits | None) -> None:
    """Fit those criteria that fit something on rows held out; raise an `OptionError` where none are."""
    for criterion in criteria:
        if not isinstance(criterion, Fitted):
            continue
        if calibration is None:
            raise OptionError(
                f"the criterion {criterion.name} fits parameters, and no rows were held out for that",
                where="the list of criteria",
                hint="hold rows out of training with --data.calibration 500, or leave the criterion out",
            )
        criterion.fit(calibration)


def fit_spec(spec: CriterionSpec, calibration: StoredExits | None) -> CriterionSpec:
    """Add to a specification what its criterion learns, if it fits something; see `fit_criteria`."""
    criterion = spec.build()
    fit_criteria([criterion], calibration)
    return replace(spec, fitted=criterion.fitted) if isinstance(criterion, Fitted) else spec


def sweep_exits(
    criteria: Sequence[Criterion],
    exits: StoredExits,
    calibration: StoredExits | None,
    *,
    split: str,
    task: str,
    metrics: Sequence[str],
    checkpoint: str | None = None,
) -> Sweep:
    """Trace the curve of every criterion, of every exit alone and, but for regression, of the oracle.

    Args:
        criteria: Distinct criteria, without the oracle and the fixed exits.
        exits: The stored exits of the split to report on.
        calibration: Those of the rows held out for criteria that fit something, an `OptionError` where these lack them.
        split: The name of that split.
        task: The name of the task.
        metrics: Names of its metrics, the primary one first; those without a curve are of every exit alone.
        checkpoint: The file of the weights, as `RunFolder.name_of` names it, where they are of one.
    """
    fit_criteria(criteria, calibration)
    references = [Fixed()] if exits.target.kind is Kind.REGRESSION else [Oracle(), Fixed()]
    kind = exits.target.kind
    curved = [metric for metric in metrics if metric not in WITHOUT_CURVE[kind]]
    curves = [trace_curve(criterion, exits, curved) for criterion in (*criteria, *references)]
    ranked = {
        metric: [rank_score(metric, logits, exits.known_labels(), kind) for logits in exits.logits]
        for metric in metrics
        if metric not in curved
    }
    about = {"task": task, "checkpoint": checkpoint, "samples": exits.num_samples}
    if exits.rows.total is not None:
        about |= {"total": exits.rows.total, "drawn_at_random": exits.rows.is_drawn}
    summary = {**about, **summarise(curves, curved)}
    summary["exits"] |= ranked
    summary["full_model"] |= {metric: scores[-1] for metric, scores in ranked.items()}
    return Sweep(split, exits, calibration, criteria, curves, summary)


def all_that_apply(exits: StoredExits, calibration: StoredExits | None) -> list[Criterion]:
    """Return every criterion, with its defaults, that can judge these exits, but for the references of every sweep."""
    return distinct([each for kind in CRITERIA.values() if _applies(each := kind(), exits, calibration)])


def named(
    names: Sequence[str], exits: StoredExits, calibration: StoredExits | None
) -> tuple[list[Criterion], list[str]]:
    """Return the criteria that go by names such as ``voting(k=0.5)`` and can judge these exits, and all other names."""
    made, unknown = list[Criterion](), list[str]()
    for name in names:
        try:
            criterion = spec_of(name).build()
            found = [criterion] if criterion.name == name and _applies(criterion, exits, calibration) else []
        except OptionError:
            found = []
        made += found
        unknown += [] if found else [name]
    return made, unknown


def _applies(criterion: Criterion, exits: StoredExits, calibration: StoredExits | None) -> bool:
    try:
        criterion.check_task(exits.target.kind)
    except OptionError:
        return False
    if criterion.reads is not None and criterion.reads not in exits.extras:
        return False
    return not isinstance(criterion, Fitted) or calibration is not None
