"""Leave when the most likely class is far enough ahead of the next."""

from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import Array, largest, one_hot


class Margin(Criterion):
    r"""Difference of the two largest class probabilities, as in CATs (Schuster et al. 2021).

    After exit m the score is :math:`p_{(1)} - p_{(2)}`, with :math:`p_{(i)}` the i-th largest class probability of exit
    m; the label is the most likely class. The threshold is a difference of probabilities. At 0 all leave at exit 1.
    For two classes the score is that of `Confidence` on another scale, :math:`2 \max_c p_m(c) - 1`.
    """

    name = "margin"

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        return Decision(margin(output), output.predictions), state


def margin(output: ExitOutput) -> Array:
    """Return the difference of the two largest probabilities of an exit, of shape [batch]."""
    probabilities = output.probabilities  # [batch, classes]
    others = probabilities - 2 * one_hot(probabilities.argmax(-1), probabilities)
    return largest(probabilities) - largest(others)
