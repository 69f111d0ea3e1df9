"""Leave when a gate that was fitted on four figures of an exit's probabilities finds no use in going on."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from ee_lightning.exits.criterion import LEAST_LOG_PROBABILITY, Decision, ExitOutput, State
from ee_lightning.exits.entropy import negative_entropy
from ee_lightning.exits.fitted import NUM_EXITS, Fitted, Parameters
from ee_lightning.exits.margin import margin
from ee_lightning.functional import Array, at_least, host, largest, log_softmax, namespace, softmax

if TYPE_CHECKING:
    from ee_lightning.exits.stored import StoredExits

FARTHEST = 60.0
"""How far from 0 log-odds count; e to this power is a number of float32, and the probability 1 long before."""


class JEIDNN(Fitted):
    r"""A gate an exit on four figures, after JEI-DNN (Chataoui et al. 2024).

    After exit m the score is :math:`\sigma(w_m \cdot x_m + b_m)`; at the last exit it is 1. The figures :math:`x_m` are
    the largest probability of exit m, the entropy of the probabilities, the margin between the two largest, and the
    entropy of their squares, normalised; the label is the most likely class. The threshold is a probability: that exit
    m is right, or no later exit is, which the gates were fitted to on a calibration split (`leaving_is_right`).

    JEI-DNN trains exits and gates together, towards the exit with the least cross-entropy plus cost. Here the model is
    as it is, and the threshold takes the place of the cost.
    """

    name = "jei_dnn"
    shapes: ClassVar = {"weights": (NUM_EXITS, "figures"), "biases": (NUM_EXITS,)}

    @override
    def estimate(self, exits: "StoredExits") -> Parameters:
        from ee_lightning.functional.failures import leaving_is_right
        from ee_lightning.functional.logistic import fit_logistic

        targets = host(leaving_is_right(exits.predictions == exits.class_numbers()).double())  # [exits, samples]
        found = np.zeros((exits.num_exits, 5))
        for place in range(exits.num_exits - 1):
            found[place] = fit_logistic(host(_figures(exits.output(place + 1))).astype(np.float64), targets[place])
        learnt: Any = found.astype(np.float32)
        return {"weights": learnt[:, :-1], "biases": learnt[:, -1]}

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        parameters, place = self.parameters(output), output.exit_layer - 1
        total = (_figures(output) * parameters["weights"][place]).sum(-1) + parameters["biases"][place]  # [batch]
        return Decision(gate_score(total, output), output.predictions), state


def gate_score(total: Array, output: ExitOutput) -> Array:
    """Return the probability that a gate gives, of its weighted sum [batch]; 1 at the last exit."""
    xp = namespace(total)
    at_last = output.exit_layer == output.num_exits
    score: Array = xp.ones_like(total) if at_last else 1 / (1 + xp.exp(-xp.clip(total, -FARTHEST, FARTHEST)))
    return score


def _figures(output: ExitOutput) -> Array:
    """Return the largest probability, the entropy, the margin, and the entropy of the squares, of shape [batch, 4]."""
    squares = 2 * output.log_probabilities  # [batch, classes], but for a constant
    of_squares = -(softmax(squares) * at_least(LEAST_LOG_PROBABILITY, log_softmax(squares))).sum(-1)  # [batch]
    figures = [largest(output.probabilities), -negative_entropy(output), margin(output), of_squares]  # [batch] each
    stacked: Array = namespace(of_squares).stack(figures, axis=-1)
    return stacked
