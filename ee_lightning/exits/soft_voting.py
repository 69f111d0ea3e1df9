"""Leave when one class has gathered enough of the exits' probability."""

from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.exits.voting import bar, check_exponent, highest_share
from ee_lightning.functional import Array, largest


class SoftVoting(Criterion):
    r"""The paper's voting with probabilities in place of votes; our own.

    After exit m the score is :math:`\max_c \sum_{j \le m} p_j(c) / m^k`, with :math:`p_j` the softmax of exit j's
    logits over the classes c; the label is the class that attains it. Where no exit lets a sample leave, that label of
    all exits is predicted, so at full depth too the ensemble predicts, and not the last exit. The threshold has no
    unit but for k = 1, where it is a mean probability. Unlike with `Voting`, the first exit's score is no more than its
    confidence.

    Args:
        k: How fast the bar rises with the number of exits, from 0 to 16.
    """

    name = "soft_voting"

    def __init__(self, k: float = 1.0) -> None:
        check_exponent(k, "SoftVoting.k")
        self.k = float(k)

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        summed = output.probabilities  # [batch, classes]
        if output.exit_layer > 1:
            summed = state["sum"] + summed
        return Decision(largest(summed) / bar(output, self.k), summed.argmax(-1)), {"sum": summed}

    @override
    def highest_score(self, exit_layer: int) -> float:
        return highest_share(exit_layer, self.k)

    @override
    def fallback(self, output: ExitOutput, state: State) -> Array:
        return state["sum"].argmax(-1)
