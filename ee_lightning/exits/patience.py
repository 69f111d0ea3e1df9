"""Leave when enough exits in a row have agreed."""

import math

from array_api_compat import device
from typing_extensions import override

from ee_lightning.errors import OptionError
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import Array, Kind, namespace, same_rows


class Patience(Criterion):
    r"""Consecutive agreeing exits, from PABEE (Zhou et al. 2020).

    After exit m the score is the number of exits up to m that in a row predicted the same class as the exit before; the
    first exit counts 0, and an exit that differs starts again at 0. The label is exit m's most likely class. Of several
    labels exits agree where they predict all of them alike. For regression an exit agrees with the one before where
    their values :math:`\hat y` differ by less than the tolerance, :math:`|\hat y_m - \hat y_{m-1}| < \delta`, and the
    label is :math:`\hat y_m`. The threshold is the number of agreements, the patience t: a sample leaves at exit t + 1
    at the earliest; at 0 all leave at exit 1. Files and tables have thresholds half-way between two counts:
    1.5 is a patience of 2.

    Args:
        tolerance: The :math:`\delta` of regression, above 0, in the unit of the predicted value; None for
            classification.
    """

    name = "patience"
    handles_regression = True
    handles_multi_label = True

    def __init__(self, tolerance: float | None = None) -> None:
        if tolerance is not None and not 0 < tolerance < math.inf:
            raise OptionError(
                f"Patience got tolerance={tolerance}",
                where="Patience.tolerance",
                hint="give a positive number, in the unit of the predicted value",
            )
        self.tolerance = tolerance

    @override
    def check_task(self, kind: Kind) -> None:
        if (kind is Kind.REGRESSION) != (self.tolerance is not None):
            raise OptionError(
                "Patience needs a tolerance for regression, and takes none for classification",
                where=f"Patience.tolerance = {self.tolerance}, and the exits predict {kind.value}",
                hint="for regression give a tolerance in the unit of the predicted value, else leave it out",
            )

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        predictions = output.predictions  # [batch] or [batch, labels]
        if output.exit_layer == 1:
            xp = namespace(predictions)
            agreements = xp.zeros(len(predictions), dtype=xp.float32, device=device(predictions))  # [batch]
        else:
            agreements = (state["agreements"] + 1) * self._agree(predictions, state["previous"])  # [batch]
        return Decision(agreements, predictions), {"previous": predictions, "agreements": agreements}

    @override
    def highest_score(self, exit_layer: int) -> float:
        return exit_layer - 1

    def _agree(self, predictions: Array, previous: Array) -> Array:
        if self.tolerance is None:
            return same_rows(predictions, previous)
        return abs(predictions - previous) < self.tolerance
