"""Leave when a learnt gate finds it unlikely that going on is worth it."""

from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State

GATE = "gate"
"""The extra that the gate reads."""


class Gate(Criterion):
    """Learning to exit, from BERxiT (Xin et al. 2021), and the policy of ConsistentEE (Zeng et al. 2024).

    Beside its logits every exit gives a number u between 0 and 1, by a gate trained with the exits on what they pooled:
    the probability of being wrong, or after `ee_lightning.training.ConsistentEEObjective` that of going on. After exit
    m the score is -u; the label is what exit m predicts. The threshold is a probability with its sign turned: a sample
    leaves once u is at most that. Serves every kind of task; of several labels being wrong is having any of them wrong.

    It reads the exits' extra "gate", of shape [batch], which only models that were trained with a gate give.
    """

    name = "gate"
    reads = GATE
    handles_regression = True
    handles_multi_label = True

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        unsure = output.extra(GATE, "train a model with a gate (--model.heads.gate true), or leave the gate out")
        return Decision(-unsure, output.predictions), state
