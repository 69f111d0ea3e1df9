"""Leave when the exits that agree have gathered enough confidence."""

import math

from typing_extensions import override

from ee_lightning.errors import OptionError
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import largest, namespace


class BEEM(Criterion):
    r"""Weighted confidence of agreeing exits, BEEM (Bajpai and Hanawal 2025).

    After exit m the score is :math:`S_m = w_m \max_c p_m(c) + S_{m-1}` where exit m predicts the same class as the exit
    before, else :math:`w_m \max_c p_m(c)`, with :math:`p_m` the softmax of exit m's logits over the classes c and
    :math:`w_m` the weight of exit m; the label is the most likely class. The threshold is a sum of weighted
    confidences: with weights of 1 it lies between 0 and the number of exits, and below 1 it acts on the first exits
    like `Confidence`. The score may fall where the class changes.

    Args:
        weights: The weight of each exit, first to last, none negative and one above 0; None for 1 each.
    """

    name = "beem"

    def __init__(self, weights: list[float] | None = None) -> None:
        if weights is not None and not (any(weights) and all(0 <= weight < math.inf for weight in weights)):
            raise OptionError(
                f"BEEM got weights={weights}",
                where="BEEM.weights",
                hint="give a number from 0 for each exit, one of them above 0",
            )
        self.weights = weights

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        confidence, predictions = largest(output.probabilities), output.predictions  # [batch], [batch]
        weighted = gathered = confidence * self._weight(output)  # [batch]
        if output.exit_layer > 1:
            same = predictions == state["previous"]  # [batch]
            gathered = namespace(weighted).where(same, state["gathered"] + weighted, weighted)
        return Decision(gathered, predictions), {"previous": predictions, "gathered": gathered}

    def _weight(self, output: ExitOutput) -> float:
        if self.weights is None:
            return 1.0
        if len(self.weights) != output.num_exits:
            raise OptionError(
                f"BEEM got {len(self.weights)} weights for {output.num_exits} exits",
                where="BEEM.weights",
                hint="give one weight for each exit",
            )
        return self.weights[output.exit_layer - 1]
