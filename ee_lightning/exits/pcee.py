"""Leave when enough exits in a row were sure enough."""

from math import inf
from typing import Literal, get_args

from typing_extensions import override

from ee_lightning.errors import require_one_of
from ee_lightning.exits.criterion import (
    Criterion,
    Decision,
    ExitOutput,
    State,
    check_patience,
    no_values,
    push,
)
from ee_lightning.exits.normalised_entropy import negative_normalised_entropy
from ee_lightning.functional import Array, least

Label = Literal["argmax", "mean"]


class PCEE(Criterion):
    r"""Patient and confident early exit, PCEE-BERT (Zhang et al. 2022).

    Its rule is "t exits in a row have a normalised entropy below a bound". So the score after exit m is the least of
    :math:`-H(p_j) / \ln C` over the last t exits j, with :math:`p_j` the softmax of exit j's logits over the C classes
    and H the entropy in nats; before exit t it is -inf, and no sample leaves. The threshold is a negative share as for
    `NormalisedEntropy`, with which t = 1 agrees: a sample leaves once the last t shares are at most :math:`-\tau`.
    The paper has "below" for "at most". With a patience beyond the number of exits no sample leaves.

    Args:
        patience: The t of the rule, from 1. The paper tunes it; the default is the least that tells it from
            `NormalisedEntropy`.
        label: Predict the class most likely by the current exit ("argmax") or by the "mean" of the probabilities of
            all exits so far.
    """

    name = "pcee"

    def __init__(self, patience: int = 2, label: Label = "argmax") -> None:
        check_patience(patience, "PCEE.patience")
        require_one_of(label, get_args(Label), "PCEE.label")
        self.patience, self.label = patience, label

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        is_first, probabilities = output.exit_layer == 1, output.probabilities  # [batch, classes]
        before = no_values(output, self.patience) if is_first else state["sharpness"]  # [batch, patience]
        following = {
            "sharpness": push(before, negative_normalised_entropy(output)),  # [batch, patience]
            "sum": probabilities if is_first else state["sum"] + probabilities,
        }
        return Decision(least(following["sharpness"]), self._label(output, following)), following

    @override
    def highest_score(self, exit_layer: int) -> float:
        return -inf if exit_layer < self.patience else inf

    @override
    def fallback(self, output: ExitOutput, state: State) -> Array:
        return self._label(output, state)

    def _label(self, output: ExitOutput, state: State) -> Array:
        return output.predictions if self.label == "argmax" else state["sum"].argmax(-1)
