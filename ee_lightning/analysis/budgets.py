"""Budgets: bounds on loss, speed or consistency that an operating point is asked to keep to."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from ee_lightning.analysis.candidates import Candidates
from ee_lightning.errors import EarlyExitError, OptionError, require_one_of
from ee_lightning.functional import first_least, fixed_sequence, hoeffding_bentkus_p_values
from ee_lightning.runs.operating_point import Asked

Guarantee = float | Literal["mean"]


CLOCK = "clock"
"""The figure of a speed-up on the clock."""
ROUNDING = 1e-9
_SHOWN_DECIMALS = 4
_DOUBLINGS = 20
MEANS = ("accuracy", "exact_match")
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
        tests: What a guarantee is proven by.
    """

    value: float
    name: ClassVar[str]
    loosest: ClassVar[float]
    figure: ClassVar[str]
    goal: ClassVar[str]
    tests: ClassVar[str]

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

    @abstractmethod
    def on_average(self, candidates: Candidates, value: float) -> Tensor:
        """Return which points keep to a bound in expectation over new samples and these, of shape [points].

        One alone may be picked, the fastest, and by its place alone.
        """

    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        """Pick one of the allowed points, the fastest unless the goal is another; None if there is none."""
        return first_least(allowed, candidates.mean_cost, -candidates.score)

    @abstractmethod
    def promise(self, candidates: Candidates) -> str:
        """Say what holds for new samples where a guarantee holds, and by which test it was proven."""

    def select(self, candidates: Candidates, guarantee: Guarantee | None) -> int:
        """Choose a point at which some sample leaves early, and return its position along the points.

        ``guarantee`` is the probability with which the bound is to hold for new samples, or ``mean`` if it is to hold
        in expectation over these too; None if it is enough that it holds on these.

        Raises:
            BudgetOutOfReach: No threshold keeps to the bound, or none can be proven to, or no sample ever leaves early.
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

    def find(self, candidates: Candidates, guarantee: Guarantee | None) -> int | None:
        """Return what `select` does, or None where that raises an error."""
        return self.pick(candidates, self._allowed(candidates, self.value, guarantee))

    def _allowed(self, candidates: Candidates, value: float, guarantee: Guarantee | None) -> Tensor:
        if guarantee is None:
            return candidates.is_early & self.kept(candidates, value)
        if guarantee == "mean":
            return candidates.is_early & self.on_average(candidates, value)
        return candidates.is_early & self.guaranteed(candidates, value, 1 - guarantee)

    def _out_of_reach(self, candidates: Candidates, guarantee: Guarantee | None) -> BudgetOutOfReach:
        proven = (
            "" if guarantee is None else " on average" if guarantee == "mean" else f" with a guarantee of {guarantee:g}"
        )
        nearest = self._nearest(candidates, guarantee)
        instead = "choose another criterion" if nearest is None else f"ask for {self._option(nearest)}"
        lower = "" if guarantee == "mean" else ", or for a lower guarantee"
        more = "" if guarantee is None else f"{lower}, or give more samples to prove more with"
        return BudgetOutOfReach(
            f"no threshold keeps to {self._option(self.value)}{proven}",
            where=f"{candidates.curve.criterion}, on the {candidates.num_samples} samples to choose on",
            hint=instead + more,
            nearest=nearest,
        )

    def _nearest(self, candidates: Candidates, guarantee: Guarantee | None) -> float | None:
        """Find the tightest bound within reach, rounded so that it stays within reach; None if it asks for nothing."""

        def reached(value: float) -> bool:
            return bool(self._allowed(candidates, value, guarantee).any())

        outside, inside, unit = self.value, self.loosest, 10.0**_SHOWN_DECIMALS
        step = (inside - outside) / 2**_DOUBLINGS
        while abs(inside - outside) > abs(step):  # from the tight side, as loose bounds take long to prove
            if reached(outside + step):
                inside = outside + step
                break
            outside, step = outside + step, 2 * step
        while abs(inside - outside) > 0.1 / unit:
            middle = (outside + inside) / 2
            outside, inside = (outside, middle) if reached(middle) else (middle, inside)
        shown = round(inside * unit) / unit
        if shown != self.loosest and not reached(shown):
            shown = (ceil if self.loosest > self.value else floor)(inside * unit) / unit
        return None if shown == self.loosest else shown

    def _option(self, value: float) -> str:
        return f"--{self.name.replace('_', '-')} {value:.{_SHOWN_DECIMALS + 4}g}"


@dataclass(frozen=True)
class MaxLoss(Budget):
    """The fastest point that loses at most this many points of the score against the full model.

    A guarantee exists for accuracy, and of several labels for the exact match; asked for with another metric, it is an
    `OptionError`. The loss of a sample is then whether the full model gets it right less whether the early exit does:
    samples that only the early exit gets right count in its favour. Its expectation is bounded by betting, from the
    highest threshold downwards.

    Attributes:
        value: In points: 1.0 is 0.01 of the score.
        row_loss: What a sample loses, see `ee_lightning.analysis.row_losses`.

    Raises:
        OptionError: If the value is negative or 100 and more.
    """

    name = "max_loss"
    loosest = 100.0
    figure = "loss"
    goal = "speedup"
    tests = "betting (Waudby-Smith and Ramdas 2024)"
    row_loss: ClassVar[str] = "net"

    def __post_init__(self) -> None:
        _require(0 <= self.value < 100, self, "give points of the score, from 0 to below 100")

    @override
    def _within(self, figure: Tensor, value: float) -> Tensor:
        return 100 * figure <= value + ROUNDING

    @override
    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        self._check(candidates)
        return candidates.proven(self.row_loss, value / 100, error)

    @override
    def on_average(self, candidates: Candidates, value: float) -> Tensor:
        self._check(candidates)
        return candidates.kept_in_expectation(self.row_loss, value / 100)

    def _check(self, candidates: Candidates) -> None:
        if candidates.metric not in MEANS:
            raise OptionError(
                f"the loss of {candidates.metric} cannot be guaranteed: it is no mean over samples",
                where="guarantee",
                hint="ask for --metric accuracy (exact_match of several labels), or for --max-spoilt, or leave it out",
            )

    @override
    def promise(self, candidates: Candidates) -> str:
        return f"the expected {candidates.metric} is at most {self.value:g} points below the full model's"


@dataclass(frozen=True)
class MaxSpoilt(MaxLoss):
    """The fastest point at which at most this share of samples, in percent, is right in the full model and wrong here.

    It bounds the loss of accuracy too, from above: samples that only the early exit gets right don't count.
    """

    name = "max_spoilt"
    figure = "spoilt"
    tests = "exact binomial tests"
    row_loss = "spoilt"

    @override
    def _check(self, candidates: Candidates) -> None: ...

    @override
    def promise(self, candidates: Candidates) -> str:
        return f"at most {self.value:g} % of new samples are right with the full model and wrong here"


@dataclass(frozen=True)
class MaxBrier(MaxSpoilt):
    """The fastest point at which the Brier score is at most this many points (0.01) above the full model's."""

    name = "max_brier"
    figure = "brier"
    tests = MaxLoss.tests
    row_loss = "brier"

    @override
    def promise(self, candidates: Candidates) -> str:
        return f"the expected Brier score is at most {self.value:g} points above the full model's"


@dataclass(frozen=True)
class MaxHellinger(MaxSpoilt):
    """The fastest point whose probabilities are at most this far (in 0.01) from the full model's, by Hellinger."""

    name = "max_hellinger"
    figure = "hellinger"
    tests = MaxLoss.tests
    row_loss = "hellinger"

    @override
    def promise(self, candidates: Candidates) -> str:
        return f"the expected Hellinger distance from the full model's probabilities is at most {self.value / 100:g}"


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
    tests = "exact binomial tests"

    def __post_init__(self) -> None:
        _require(0 < self.value <= 1, self, "give a share of the samples, above 0 and at most 1")

    @override
    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        return candidates.proven("differing", 1 - value, error)

    @override
    def on_average(self, candidates: Candidates, value: float) -> Tensor:
        return candidates.kept_in_expectation("differing", 1 - value)

    @override
    def promise(self, candidates: Candidates) -> str:
        return f"at least {100 * self.value:g} % of new samples get the full model's label"


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
    tests = "Hoeffding-Bentkus tests"

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
    def on_average(self, candidates: Candidates, value: float) -> Tensor:
        hint = "give a probability, such as --guarantee 0.95"
        raise OptionError("a speed-up is not guaranteed in the mean", where="guarantee", hint=hint)

    @override
    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        return first_least(allowed, -candidates.score, candidates.mean_cost)

    @override
    def promise(self, candidates: Candidates) -> str:
        num_layers = candidates.curve.num_layers
        return (
            f"the expected number of executed layers is at most {num_layers / self.value:.6g} of {num_layers}, a "
            f"speed-up of at least {self.value:g}"
        )


BUDGETS: tuple[type[Budget], ...] = (MinSpeedup, MaxLoss, MaxSpoilt, MaxBrier, MaxHellinger, Consistency)


def budget_of(asked: Asked) -> Budget:
    """Return the budget that an operating point was chosen by; raise an `OptionError` if it makes no sense."""
    kinds = {kind.name: kind for kind in BUDGETS}
    require_one_of(asked.budget, kinds, "budget")
    return kinds[asked.budget](asked.value)


def _require(makes_sense: bool, budget: Budget, hint: str) -> None:
    if not makes_sense:
        raise OptionError(f"got a {budget.name} of {budget.value}", where=budget.name, hint=hint)
