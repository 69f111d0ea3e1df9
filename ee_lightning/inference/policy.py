"""By which criterion, at which threshold, a model lets samples leave."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ee_lightning.analysis.sweep import fit_spec
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits import Criterion, Fitted, Threshold, as_threshold
from ee_lightning.exits.naming import CriterionSpec, StoredSpec, spec_of
from ee_lightning.exits.threshold import in_words
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint, StoredPoint

AnyCriterion = str | Criterion | CriterionSpec
"""A name such as ``voting(k=0.5)``, a criterion, or its specification."""
GivenThreshold = float | Sequence[float]
"""One threshold for all exits, or one for each."""


@dataclass(frozen=True)
class ExitPolicy:
    """A criterion at a threshold.

    Attributes:
        criterion: How to make the criterion, with what it has learnt.
        threshold: In the criterion's own unit, one for all exits or one for each; infinity lets nobody leave early.
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
    folder: RunFolder,
    num_exits: int,
    criterion: AnyCriterion | None = None,
    threshold: GivenThreshold | None = None,
) -> ExitPolicy:
    """Return the policy of a run's operating point, or the user's, fitted on the rows that the run held out.

    Without a threshold the operating point's criterion is taken, which has to be the user's if one is named.

    Raises:
        RunFolderError: The operating point is asked for and is missing, damaged, or of another model.
        OptionError: A criterion is given without a threshold, is none, or has to be fitted and no rows were held out.
    """
    spec = None if criterion is None else spec_of(criterion)  # which imports one's own, if the operating point names it
    if spec is None or (threshold is None and (folder.path / OPERATING_POINT).is_file()):
        point = _operating_point(folder, num_exits)
        return ExitPolicy(point.criterion, point.threshold, point).changed(spec, threshold)
    rule = ExitPolicy.given(spec, threshold)
    if not rule.criterion.fitted:
        return replace(rule, criterion=fit_spec(rule.criterion, folder.read_calibration()))
    return rule


def _operating_point(folder: RunFolder, num_exits: int) -> OperatingPoint:
    file, choose = folder.path / OPERATING_POINT, f"ee-lightning choose {folder.path}"
    if not file.is_file():
        hint = f"choose one: {choose} --criterion voting --min-speedup 2; or give a criterion and a threshold"
        raise RunFolderError("the run has no operating point, by which samples leave early", where=file, hint=hint)
    point = OperatingPoint.read(file)
    if point.num_exits != num_exits:
        what = f"the operating point was chosen for {point.num_exits} exits, and the model has {num_exits}"
        raise RunFolderError(what, where=file, hint=f"choose it again: {choose}")
    return point
