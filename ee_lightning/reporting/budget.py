"""What every budget is: a bound that an operating point is asked to keep to."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, floor
from typing import ClassVar

from torch import Tensor

from ee_lightning.errors import EarlyExitError
from ee_lightning.reporting.candidates import Candidates

ROUNDING = 1e-9
_SHOWN_DECIMALS = 4
_BISECTIONS = 50


class BudgetOutOfReach(EarlyExitError):
    """No threshold keeps to the budget.

    Args:
        what: What is out of reach.
        where: The criterion and the samples.
        mend: What to ask for instead.
        nearest: The nearest value of the same budget that is within reach; None if there is none.
    """

    def __init__(self, what: str, *, where: str, mend: str, nearest: float | None) -> None:
        super().__init__(what, where=where, mend=mend)
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

    @abstractmethod
    def met_by(self, figure: float) -> bool:
        """Return whether a value of the bounded figure keeps to the bound."""

    @abstractmethod
    def kept(self, candidates: Candidates, value: float) -> Tensor:
        """Tell which points keep to a bound on these samples, of shape [points]."""

    @abstractmethod
    def guaranteed(self, candidates: Candidates, value: float, error: float) -> Tensor:
        """Tell which points are proven to keep to a bound in expectation, of shape [points].

        With probability ``1 - error`` over the draw of the samples, all points that are told of do.
        """

    @abstractmethod
    def pick(self, candidates: Candidates, allowed: Tensor) -> int | None:
        """Pick one of the allowed points; None if there is none."""

    @abstractmethod
    def promise(self, candidates: Candidates) -> str:
        """Say what holds for new samples where a guarantee holds, and by which test it was proven."""

    def select(self, candidates: Candidates, guarantee: float | None) -> int:
        """Choose a point at which some sample leaves early.

        Args:
            candidates: The operating points on the samples to choose on.
            guarantee: The probability with which the bound is to hold for new samples; None if it is enough that it
                holds on these.

        Returns:
            The position along the points.

        Raises:
            BudgetOutOfReach: No threshold keeps to the bound, or none can be proven to, or nobody ever leaves early.
        """
        if not candidates.is_early.any():
            raise BudgetOutOfReach(
                f"{candidates.curve.criterion} lets no sample leave before the last exit",
                where="criterion",
                mend="choose another criterion",
                nearest=None,
            )
        chosen = self.find(candidates, guarantee)
        if chosen is None:
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
        more = (
            ""
            if guarantee is None
            else ", or for a lower guarantee, or give more samples: more can be proven with them"
        )
        return BudgetOutOfReach(
            f"no threshold keeps to {self._option(self.value)}{proven}",
            where=f"{candidates.curve.criterion}, on the {candidates.num_samples} samples to choose on",
            mend=instead + more,
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
