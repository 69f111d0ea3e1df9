"""Leave when it has become likely enough that a sample should have left."""

from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.exits.gate import GATE


class QExit(Criterion):
    r"""The quantile of where a gate lets samples leave, PALBERT's Q-exit (Balagansky and Gavrilov 2022).

    Beside its logits every exit gives a number :math:`u_m` between 0 and 1, the probability of going on. After exit m
    the score is :math:`1 - \prod_{j \le m} u_j`, the probability of having left by then; the label is what exit m
    predicts. The threshold is that probability: the authors take 0.5, so that a sample leaves at the median exit.

    It reads the exits' extra "gate", of shape [batch], which only models that were trained with a gate give. BERxiT's
    gate, which says how likely an exit is wrong, makes the score the probability that one of the exits is right, if
    they err independently. Serves every kind of task.
    """

    name = "q_exit"
    reads = GATE
    handles_regression = True
    handles_multi_label = True

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        stays = output.extra(
            GATE, "train a model with a gate, such as --config palbert, or leave q_exit out"
        )  # [batch]
        if output.exit_layer > 1:
            stays = state["stays"] * stays  # [batch]
        return Decision(1 - stays, output.predictions), {"stays": stays}
