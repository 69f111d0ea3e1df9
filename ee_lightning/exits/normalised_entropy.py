"""Leave when the distribution over the classes is sharp enough, on a scale that does not depend on their number."""

import math

from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.exits.entropy import negative_entropy
from ee_lightning.functional import Array, scalar


class NormalisedEntropy(Criterion):
    r"""Entropy as a share of the largest possible one, FastBERT's "uncertainty" (Liu et al. 2020).

    After exit m the score is :math:`-H(p_m) / \ln C`, with :math:`p_m` the softmax of exit m's logits over the C
    classes and H the entropy in nats; the label is the most likely class. The threshold is a negative share: FastBERT's
    "speed" s is the threshold :math:`-s`, at which a sample leaves once :math:`H(p_m) / \ln C \le s`. Scores lie
    between -1 and 0. With many classes this share stays near 1 for all but the surest predictions: look at the
    curve before choosing a threshold by habit.

    On one task it draws the same curve as `Entropy`; what differs is the thresholds' unit.
    """

    name = "normalised_entropy"

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        return Decision(negative_normalised_entropy(output), output.predictions), state


def negative_normalised_entropy(output: ExitOutput) -> Array:
    """Return the entropy of an exit's distributions over that of equal probabilities, sign turned, of shape [batch]."""
    entropy = negative_entropy(output)  # [batch]
    return entropy / scalar(math.log(output.logits.shape[-1]), entropy)
