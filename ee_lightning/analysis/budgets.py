"""Budgets: bounds on loss, speed or consistency that an operating point is asked to keep to."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import ceil, floor, inf
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import EarlyExitError, OptionError, require_one_of
from ee_lightning.exits import Criterion, Curve, StoredExits, trace_curve
from ee_lightning.exits.curve import statistics_of
from ee_lightning.functional import (
    binomial_p_values,
    first_least,
    fixed_sequence,
    hoeffding_bentkus_p_values,
    same_rows,
)
from ee_lightning.runs.operating_point import Asked, Costs


@dataclass(frozen=True, eq=False)
class Candidates:
    """The operating points to choose among, from slow to fast, on the samples to choose on.

    Attributes:
        curve: The curve of the criterion.
        metric: The score that counts, one of the curve's.
        full_score: The full model's.
        num_samples: Number of samples.
        differing: Number of samples whose label or set of labels is not the full model's, in int64, of shape [points].
        spoilt: Number of samples that the full model gets right and this point wrong, in int64, of shape [points].
        mean_cost: What a sample costs in the mean, in layers, or in milliseconds on the clock, of shape [points].
        full_cost: What it costs the full model.
    """

    curve: Curve
    metric: str
    full_score: float
    num_samples: int
    differing: Tensor
    spoilt: Tensor
    mean_cost: Tensor
    full_cost: float

    @property
    def score(self) -> Tensor:
        """The metric at every point, of shape [points]."""
        return self.curve.scores[self.metric]

    def figure(self, name: str) -> Tensor:
        """Return what every point reaches of a budget's figure, of shape [points]."""
        match name:
            case "loss":
                return self.full_score - self.score
            case "speedup":
                return self.full_cost / self.mean_cost
            case _:
                return 1 - self.differing.double() / self.num_samples

    @property
    def is_early(self) -> Tensor:
        """Where some sample leaves before the last exit, of shape [points]."""
        return self.curve.mean_exit < self.curve.num_layers


def list_candidates(criterion: Criterion, exits: StoredExits, metric: str, costs: Costs | None = None) -> Candidates:
    """Trace a criterion's curve by a metric, and compare every point with the full model; with costs on the clock.

    Raises:
        DataError: Labels are missing or are no class numbers.
        OptionError: The metric is unknown or does not suit the task.
    """
    statistics, full = statistics_of(exits), exits.predictions[-1]  # full: [samples] or [samples, labels]
    full_is_right = same_rows(full, exits.known_labels())  # [samples]

    def differing(predictions: Tensor, samples: Tensor) -> Tensor:
        return (~same_rows(predictions, full[samples])).long()  # [events]

    def spoilt(predictions: Tensor, samples: Tensor) -> Tensor:
        return differing(predictions, samples) * full_is_right[samples]  # [events]

    curve = trace_curve(criterion, exits, [metric], {"differing": differing, "spoilt": spoilt})
    everyone = torch.arange(exits.num_samples)
    full_score = statistics.metric(metric)(statistics.tally(full, everyone).sum(0), statistics.actual).item()
    mean_cost, full_cost = curve.mean_exit, float(curve.num_layers)
    if costs is not None:
        numbers = trace_curve(criterion, replace(exits, layers_of_exits=()), [metric]).mean_exit  # [points]
        mean_cost, full_cost = costs.start + costs.layer * curve.mean_exit + costs.exit * numbers, costs.full
    compared = curve.scores["differing"], curve.scores["spoilt"]
    return Candidates(curve, metric, full_score, exits.num_samples, *compared, mean_cost, full_cost)


CLOCK = "clock"
"""The figure of a speed-up on the clock."""
ROUNDING = 1e-9
_SHOWN_DECIMALS = 4
_BISECTIONS = 50
_MEANS = ("accuracy", "exact_match")
"""The metrics that are shares of the samples."""


class BudgetOutOfReach(EarlyExitError):
    """No threshold keeps to the budget; the nearest value that one does, if any, is ``nearest``."""

    def __init__(self, what: str, *, where: str, hint: str, nearest: float | None) -> None:
        super().__init__(what, where=where, hint=hint)
        self.nearest = nearest


@dataclass(frozen=True)
class Budget(ABC):
    """A bound that an operating point is asked to keep to.

    Attributes:
        value: The bound, in the budget's own unit.
        name: For options and files.
        loosest: The value of the bound that asks for nothing.
        figure: Which figure of `OperatingPoint.reached` is bounded.
        goal: Which figure is to be high within the bound, ``score`` or ``speedup``.
    """

    value: float
    name: ClassVar[str]
    loosest: ClassVar[float]
    figure: ClassVar[str]
    goal: ClassVar[str]

    def __str__(self) -> str:
        """Return the option of the command line."""
        return self._option(self.value)

    def figure_of(self, reached: Collection[str]) -> str:
        """Name the bounded figure among those reached: of a speed-up that on the clock where it is there."""
        return CLOCK if self.figure == "speedup" and CLOCK in reached else self.figure

    def met_by(self, figure: float) -> bool:
        """Return whether a value of the bounded figure keeps to the bound."""
        return bool(self._within(torch.tensor(figure, dtype=torch.float64), self.value))

    def kept(self, candidates: Candidates, value: float) -> Tensor:
        """Return which points keep to a bound on these samples, of shape [points]."""
        return self._within(candidates.figure(self.figure), value)

    def _within(self, figure: Tensor, value: float) -> Tensor:
        return figure >= value - ROUNDING

    @abstractmethod
    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        """Return which points are proven to keep to a bound in expectation, of shape [points].

        With probability ``1 - error`` over the draw of the samples, all points that are returned do.
        """

    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        """Pick one of the allowed points, the fastest unless the goal is another; None if there is none."""
        return first_least(allowed, candidates.mean_cost, -candidates.score)

    @abstractmethod
    def promise(self, candidates: Candidates) -> str:
        """Say what holds for new samples where a guarantee holds, and by which test it was proven."""

    def select(self, candidates: Candidates, guarantee: float | None) -> int:
        """Choose a point at which some sample leaves early, and return its position along the points.

        ``guarantee`` is the probability with which the bound is to hold for new samples; None if it is enough that it
        holds on these.

        Raises:
            BudgetOutOfReach: No threshold keeps to the bound, or none can be proven to, or nobody ever leaves early.
        """
        if not candidates.is_early.any():
            raise BudgetOutOfReach(
                f"{candidates.curve.criterion} lets no sample leave before the last exit",
                where="criterion",
                hint="choose another criterion",
                nearest=None,
            )
        if (chosen := self.find(candidates, guarantee)) is None:
            raise self._out_of_reach(candidates, guarantee)
        return chosen

    def find(self, candidates: Candidates, guarantee: float | None) -> int | None:
        """Return what `select` does, or None where that raises an error."""
        return self.pick(candidates, self._allowed(candidates, self.value, guarantee))

    def _allowed(self, candidates: Candidates, value: float, guarantee: float | None) -> Tensor:
        if guarantee is None:
            return candidates.is_early & self.kept(candidates, value)
        return candidates.is_early & self.guaranteed(candidates, value, 1 - guarantee)

    def _out_of_reach(self, candidates: Candidates, guarantee: float | None) -> BudgetOutOfReach:
        proven = "" if guarantee is None else f" with a guarantee of {guarantee:g}"
        nearest = self._nearest(candidates, guarantee)
        instead = "choose another criterion" if nearest is None else f"ask for {self._option(nearest)}"
        more = "" if guarantee is None else ", or for a lower guarantee, or give more samples to prove more with"
        return BudgetOutOfReach(
            f"no threshold keeps to {self._option(self.value)}{proven}",
            where=f"{candidates.curve.criterion}, on the {candidates.num_samples} samples to choose on",
            hint=instead + more,
            nearest=nearest,
        )

    def _nearest(self, candidates: Candidates, guarantee: float | None) -> float | None:
        """Find the tightest bound within reach, rounded so that it stays within reach; None if it asks for nothing."""
        outside, inside = self.value, self.loosest
        for _ in range(_BISECTIONS):
            middle = (outside + inside) / 2
            if self._allowed(candidates, middle, guarantee).any():
                inside = middle
            else:
                outside = middle
        unit = 10.0**_SHOWN_DECIMALS
        shown = (ceil if self.loosest > self.value else floor)(inside * unit) / unit
        return None if shown == self.loosest else shown

    def _option(self, value: float) -> str:
        return f"--{self.name.replace('_', '-')} {value:.{_SHOWN_DECIMALS + 4}g}"


@dataclass(frozen=True)
class MaxLoss(Budget):
    r"""The fastest point that loses at most this many points of the score against the full model.

    A guarantee exists for accuracy, and of several labels for the exact match; asked for with another metric, it is an
    `OptionError`. The loss of a sample is then 1 where the
    full model gets it right and the early exit wrong, else 0; its expectation is what is bounded, by exact binomial
    tests from the highest threshold downwards. The expected loss of accuracy is no larger, as it also counts, in favour
    of the early exit, the samples that only the early exit gets right.

    Attributes:
        value: In points: 1.0 is 0.01 of the score.

    Raises:
        OptionError: If the value is negative or 100 and more.
    """

    name = "max_loss"
    loosest = 100.0
    figure = "loss"
    goal = "speedup"

    def __post_init__(self) -> None:
        _require(0 <= self.value < 100, self, "give points of the score, from 0 to below 100")

    @override
    def _within(self, figure: Tensor, value: float) -> Tensor:
        return 100 * figure <= value + ROUNDING

    @override
    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        if candidates.metric not in _MEANS:
            raise OptionError(
                f"the loss of {candidates.metric} cannot be guaranteed: it is no mean over samples",
                where="guarantee",
                hint="ask for --metric accuracy (exact_match of several labels), or for --consistency, or leave it out",
            )
        return fixed_sequence(binomial_p_values(candidates.spoilt, candidates.num_samples, value / 100), error)

    @override
    def promise(self, candidates: Candidates) -> str:
        return (
            f"at most {self.value:g} % of new samples are right with the full model and wrong here, so that the "
            f"expected {candidates.metric} is at most {self.value:g} points below the full model's (exact binomial "
            "tests)"
        )


@dataclass(frozen=True)
class Consistency(Budget):
    """The fastest point at which at least this share of samples has the full model's label.

    The guarantee bounds the expected share of other labels, by exact binomial tests from the highest threshold
    downwards.

    Attributes:
        value: A share.

    Raises:
        OptionError: If the value is not above 0 and at most 1.
    """

    name = "consistency"
    loosest = 0.0
    figure = "consistency"
    goal = "speedup"

    def __post_init__(self) -> None:
        _require(0 < self.value <= 1, self, "give a share of the samples, above 0 and at most 1")

    @override
    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        return fixed_sequence(binomial_p_values(candidates.differing, candidates.num_samples, 1 - value), error)

    @override
    def promise(self, candidates: Candidates) -> str:
        return f"at least {100 * self.value:g} % of new samples get the full model's label (exact binomial tests)"


@dataclass(frozen=True)
class MinSpeedup(Budget):
    r"""The point with the best score among those that are at least this fast; of equally good ones the fastest.

    The guarantee bounds the expected number of executed layers, between 1 and M, by M / value, with Hoeffding-Bentkus
    tests from the lowest threshold upwards. All points it lets through keep to the bound together, so that the best of
    them may be picked by looking at their scores on the same samples.

    Attributes:
        value: All layers over mean executed layers.

    Raises:
        OptionError: If the value is not above 1, or infinite.
    """

    name = "min_speedup"
    loosest = 1.0
    figure = "speedup"
    goal = "score"

    def __post_init__(self) -> None:
        _require(1 < self.value < inf, self, "give a number above 1, such as 2 for half the layers")

    @override
    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        last, samples = candidates.curve.num_layers, candidates.num_samples
        affordable = (last / value - 1) / (last - 1)
        if affordable < 0:
            return torch.zeros_like(candidates.is_early)
        layers = (candidates.curve.mean_exit * samples).round()  # [points]
        p_values = hoeffding_bentkus_p_values((layers - samples) / (last - 1), samples, affordable)  # [points]
        return fixed_sequence(p_values.flip(0), error).flip(0)

    @override
    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        return first_least(allowed, -candidates.score, candidates.mean_cost)

    @override
    def promise(self, candidates: Candidates) -> str:
        num_layers = candidates.curve.num_layers
        return (
            f"the expected number of executed layers is at most {num_layers / self.value:.6g} of {num_layers}, a "
            f"speed-up of at least {self.value:g} (Hoeffding-Bentkus tests)"
        )


def budget_of(asked: Asked) -> Budget:
    """Return the budget that an operating point was chosen by; raise an `OptionError` if it makes no sense."""
    kinds = {kind.name: kind for kind in (MaxLoss, MinSpeedup, Consistency)}
    require_one_of(asked.budget, kinds, "budget")
    return kinds[asked.budget](asked.value)


def _require(makes_sense: bool, budget: Budget, hint: str) -> None:
    if not makes_sense:
        raise OptionError(f"got a {budget.name} of {budget.value}", where=budget.name, hint=hint)
