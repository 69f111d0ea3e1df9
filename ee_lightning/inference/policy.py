"""By which criterion, at which threshold, a model lets samples leave."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits import Criterion, Fitted, Threshold, as_threshold
from ee_lightning.exits.naming import CriterionSpec, StoredSpec, spec_of
from ee_lightning.exits.placement import Layers, numbers_of
from ee_lightning.exits.threshold import in_words
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint, StoredPoint

if TYPE_CHECKING:
    from ee_lightning.runs.folder import RunFolder

AnyCriterion = str | Criterion | CriterionSpec
"""A name such as ``voting(k=0.5)``, a criterion, or its specification."""
GivenThreshold = float | Sequence[float]
"""One threshold for all exits, or one for each."""


@dataclass(frozen=True)
class ExitPolicy:
    """A criterion at a threshold.

    Attributes:
        criterion: How to make the criterion, with what it has learnt.
        threshold: In the criterion's own unit, one for all exits or one for each; with infinity no sample leaves early.
        operating_point: How the two were chosen and what may be expected of them; None where that is not known.

    Raises:
        OptionError: The threshold is no number.
    """

    criterion: StoredSpec
    threshold: Threshold
    operating_point: StoredPoint | None = None

    def __post_init__(self) -> None:
        as_threshold(self.threshold)

    def build(self) -> Criterion:
        """Return the criterion, or raise an OptionError if it is none, or has to be fitted and isn't."""
        criterion = self.criterion.build()
        if isinstance(criterion, Fitted) and not self.criterion.fitted:
            what = f"the criterion {criterion.name} has to be fitted on rows held out of training, and here are none"
            hint = "give it for a run that held rows out (--data.calibration), or take another"
            raise OptionError(what, where="criterion", hint=hint)
        return criterion

    def __str__(self) -> str:
        return f"{self.criterion.build().name} at {in_words(self.threshold)}"

    @classmethod
    def given(cls, criterion: AnyCriterion, threshold: GivenThreshold | None) -> "ExitPolicy":
        """Return the policy that a user passes, or raise an OptionError if the threshold is missing."""
        if threshold is None:
            what = "a criterion is given without a threshold, which is in the criterion's own unit"
            raise OptionError(what, where="threshold", hint="give both, or neither to use the operating point")
        return cls(spec_of(criterion), as_threshold(threshold))

    def changed(self, criterion: AnyCriterion | None, threshold: GivenThreshold | None) -> "ExitPolicy":
        """Replace the criterion or threshold by the user's; None keeps it, and so does naming the same criterion."""
        spec = self.criterion if criterion is None else spec_of(criterion)
        own = self.criterion.class_path, self.criterion.init_args
        if (spec.class_path, spec.init_args) != own or spec.fitted not in ({}, self.criterion.fitted):
            return ExitPolicy.given(spec, threshold)
        return self if threshold is None else ExitPolicy(self.criterion, as_threshold(threshold))


def policy_of_run(
    folder: "RunFolder",
    layers_of_exits: Layers,
    criterion: AnyCriterion | None = None,
    threshold: GivenThreshold | None = None,
    exits: Sequence[int] | None = None,
) -> tuple[ExitPolicy, Layers]:
    """Return the policy of a run's operating point, or the user's, and the layers of the exits that it asks.

    A criterion that has to be fitted is, on what these exits said of the rows that the run held out. Without a
    threshold the operating point's criterion and exits are taken, which have to be the user's if these are named.

    Args:
        folder: The run folder.
        layers_of_exits: The layers after which the model's exits stand.
        criterion: The user's.
        threshold: The user's.
        exits: The layers of the exits that the user asks; None takes the operating point's, or beside a criterion and a
            threshold all.

    Raises:
        RunFolderError: The operating point is asked for and is missing, damaged, or of another model.
        OptionError: A criterion is given without a threshold, is none, or has to be fitted and no rows were held out;
            or the model lacks an exit, or other exits than the operating point's are asked without a threshold.
    """
    spec = None if criterion is None else spec_of(criterion)  # which imports one's own, if the operating point names it
    if spec is None or (threshold is None and (folder.path / OPERATING_POINT).is_file()):
        point = _operating_point(folder, layers_of_exits)
        rule = ExitPolicy(point.criterion, point.threshold, point).changed(spec, threshold)
        chosen_for = point.layers_of_exits
    else:
        rule, chosen_for = ExitPolicy.given(spec, threshold), layers_of_exits
    asked = asked_exits(exits, layers_of_exits, chosen_for, threshold)
    if asked != chosen_for and rule.operating_point is None and spec is None:
        rule = replace(rule, criterion=replace(rule.criterion, fitted={}))  # which was for other exits
    if not rule.criterion.fitted and isinstance(rule.criterion.build(), Fitted):
        from ee_lightning.analysis.sweep import fit_spec  # with what training needs, which deployed models do without

        held_out = folder.read_calibration()
        fitted = fit_spec(rule.criterion, None if held_out is None else held_out.asking(asked))
        rule = replace(rule, criterion=fitted)
    return rule, asked


def asked_exits(
    exits: Sequence[int] | None, layers_of_exits: Layers, chosen_for: Layers, threshold: GivenThreshold | None
) -> Layers:
    """Return the layers of the exits to ask; None asks those that the threshold was chosen for.

    Raises:
        OptionError: The model lacks such an exit, or others are asked than the threshold was chosen for, and no other
            threshold is given.
    """
    if exits is None or (asked := tuple(exits)) == chosen_for:
        return chosen_for
    numbers_of(asked, layers_of_exits, "--exits")
    if threshold is None:
        raise OptionError(
            f"the threshold was chosen for exits after layers {', '.join(map(str, chosen_for))}",
            where=f"--exits {','.join(map(str, asked))}",
            hint="give --criterion and --threshold too, or choose an operating point for these exits: choose --exits",
        )
    return asked


def _operating_point(folder: "RunFolder", layers_of_exits: Layers) -> OperatingPoint:
    file, choose = folder.path / OPERATING_POINT, f"ee-lightning choose {folder.path}"
    if not file.is_file():
        hint = (
            f"choose one: {choose} --criterion confidence --min-speedup 2; or give a criterion and a threshold, for "
            "regression --criterion 'patience(tolerance=0.5)' --threshold 1"
        )
        raise RunFolderError("the run has no operating point, by which samples leave early", where=file, hint=hint)
    point = OperatingPoint.read(file)
    if point.layers_of_exits[-1] != layers_of_exits[-1] or not {*point.layers_of_exits} <= {*layers_of_exits}:
        chosen, there = (", ".join(map(str, layers)) for layers in (point.layers_of_exits, layers_of_exits))
        what = f"the operating point was chosen for exits after layers {chosen}, and the model has {there}"
        raise RunFolderError(what, where=file, hint=f"choose it again: {choose}")
    return point
