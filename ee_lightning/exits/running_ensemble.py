"""Leave when the exits together are sure enough."""

import math

import numpy as np
from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import Array, at_least, largest, scalar, softmax

LEAST_LOG_PROBABILITY_IN_A_MEAN = math.log(np.finfo(np.float32).tiny)


class RunningEnsemble(Criterion):
    r"""Geometric mean of the distributions so far, Zero Time Waste's ensemble (Wołczyk et al. 2021) of equal weights.

    After exit m the score is :math:`\max_c q_m(c)` with :math:`q_m(c) \propto \prod_{j \le m} p_j(c)^{1/m}` and
    :math:`p_j` the softmax of exit j's logits over the classes c; the label is the class that attains it. Where no exit
    lets a sample leave, the ensemble's label is predicted, not the last exit's. The threshold is a probability. See
    `LearnedEnsemble` for weights that are fitted.

    In a geometric mean one exit that gives a class no probability rules it out for good. So a probability below the
    least normal number of float32, about 1e-38, counts as that number.
    """

    name = "running_ensemble"

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        summed = bounded_log_probabilities(output)  # [batch, classes]
        if output.exit_layer > 1:
            summed = state["sum"] + summed
        mean = summed / scalar(output.exit_layer, summed)  # [batch, classes]
        return Decision(largest(softmax(mean)), summed.argmax(-1)), {"sum": summed}

    @override
    def fallback(self, output: ExitOutput, state: State) -> Array:
        return state["sum"].argmax(-1)


def bounded_log_probabilities(output: ExitOutput) -> Array:
    """Return the logarithms of an exit's probabilities, none below that of 1e-38, of shape [batch, classes]."""
    return at_least(LEAST_LOG_PROBABILITY_IN_A_MEAN, output.log_probabilities)
