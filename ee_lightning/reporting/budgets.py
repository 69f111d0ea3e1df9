"""The budgets: a loss, a speed-up, or a consistency with the full model."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from ee_lightning.errors import OptionError, require_one_of
from ee_lightning.functional import (
    best_point,
    binomial_p_values,
    fastest_point,
    fixed_sequence,
    hoeffding_bentkus_p_values,
)
from ee_lightning.operating import Asked
from ee_lightning.reporting.budget import ROUNDING, Budget
from ee_lightning.reporting.candidates import Candidates

_MEANS = ("accuracy", "exact_match")
"""The metrics that are shares of the samples."""


@dataclass(frozen=True)
class MaxLoss(Budget):
    r"""The fastest point that loses at most so many points of the score against the full model.

    A guarantee exists for accuracy, and of several labels for the exact match. The loss of a sample is then 1 where the
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
        """Check the value."""
        _require(0 <= self.value < 100, self, "give points of the score, from 0 to below 100")

    def kept(self, candidates: Candidates, value: float) -> Tensor:
        """See `Budget.kept`."""
        return 100 * (candidates.full_score - candidates.score) <= value + ROUNDING

    def met_by(self, figure: float) -> bool:
        """See `Budget.met_by`."""
        return 100 * figure <= self.value + ROUNDING

    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        """See `Budget.guaranteed`.

        Raises:
            OptionError: If the metric is neither accuracy nor the exact match.
        """
        if candidates.metric not in _MEANS:
            raise OptionError(
                f"the loss of {candidates.metric} cannot be guaranteed: it is no mean over samples",
                where="guarantee",
                mend="ask for --metric accuracy (exact_match of several labels), or for --consistency, or leave it out",
            )
        return fixed_sequence(binomial_p_values(candidates.spoilt, candidates.num_samples, value / 100), error)

    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        """See `Budget.pick`."""
        return fastest_point(candidates.curve.mean_exit, candidates.score, allowed)

    def promise(self, candidates: Candidates) -> str:
        """See `Budget.promise`."""
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
        """Check the value."""
        _require(0 < self.value <= 1, self, "give a share of the samples, above 0 and at most 1")

    def kept(self, candidates: Candidates, value: float) -> Tensor:
        """See `Budget.kept`."""
        return 1 - candidates.differing.double() / candidates.num_samples >= value - ROUNDING

    def met_by(self, figure: float) -> bool:
        """See `Budget.met_by`."""
        return figure >= self.value - ROUNDING

    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        """See `Budget.guaranteed`."""
        return fixed_sequence(binomial_p_values(candidates.differing, candidates.num_samples, 1 - value), error)

    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        """See `Budget.pick`."""
        return fastest_point(candidates.curve.mean_exit, candidates.score, allowed)

    def promise(self, candidates: Candidates) -> str:
        """See `Budget.promise`."""
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
        """Check the value."""
        _require(1 < self.value < inf, self, "give a number above 1, such as 2 for half the layers")

    def kept(self, candidates: Candidates, value: float) -> Tensor:
        """See `Budget.kept`."""
        return candidates.curve.speedup >= value - ROUNDING

    def met_by(self, figure: float) -> bool:
        """See `Budget.met_by`."""
        return figure >= self.value - ROUNDING

    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        """See `Budget.guaranteed`."""
        last, samples = candidates.curve.num_exits, candidates.num_samples
        affordable = (last / value - 1) / (last - 1)
        if affordable < 0:
            return torch.zeros_like(candidates.is_early)
        layers = (candidates.curve.mean_exit * samples).round()  # [points]
        p_values = hoeffding_bentkus_p_values((layers - samples) / (last - 1), samples, affordable)  # [points]
        return fixed_sequence(p_values.flip(0), error).flip(0)

    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        """See `Budget.pick`."""
        return best_point(candidates.curve.mean_exit, candidates.score, allowed)

    def promise(self, candidates: Candidates) -> str:
        """See `Budget.promise`."""
        num_exits = candidates.curve.num_exits
        return (
            f"the expected number of executed layers is at most {num_exits / self.value:.6g} of {num_exits}, a "
            f"speed-up of at least {self.value:g} (Hoeffding-Bentkus tests)"
        )


def budget_of(asked: Asked) -> Budget:
    """Return the budget that an operating point was chosen by.

    Raises:
        OptionError: There is no such budget, or it makes no sense.
    """
    kinds = {kind.name: kind for kind in (MaxLoss, MinSpeedup, Consistency)}
    require_one_of(asked.budget, kinds, "budget")
    return kinds[asked.budget](asked.value)


def _require(makes_sense: bool, budget: Budget, mend: str) -> None:
    if not makes_sense:
        raise OptionError(f"got a {budget.name} of {budget.value}", where=budget.name, mend=mend)
