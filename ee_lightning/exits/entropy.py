"""Leave when the distribution over the classes is sharp enough."""

from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import Array, Kind, scalar


class Entropy(Criterion):
    r"""Entropy of the prediction, from BranchyNet (Teerapittayanon et al. 2016) and DeeBERT (Xin et al. 2020).

    After exit m the score is :math:`-H(p_m) = \sum_c p_m(c) \ln p_m(c)`, with :math:`p_m` the softmax of exit m's
    logits over the C classes c; the label is the most likely class. The threshold is a negative entropy in nats: at
    :math:`\tau` a sample leaves once :math:`H(p_m) \le -\tau`. Scores lie between :math:`-\ln C` and 0.

    Of several labels H is the mean over the labels of the entropies of each one's being absent or there, and C is 2.
    """

    name = "entropy"
    handles_multi_label = True

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        return Decision(negative_entropy(output), output.predictions), state


def negative_entropy(output: ExitOutput) -> Array:
    """Return the entropy of an exit's distributions with its sign turned, in nats, of shape [batch]."""
    negative = (output.probabilities * output.log_probabilities).sum(-1)  # [batch] or [batch, labels]
    if output.kind is not Kind.MULTI_LABEL:
        return negative
    return negative.sum(-1) / scalar(negative.shape[-1], negative)  # [batch]
