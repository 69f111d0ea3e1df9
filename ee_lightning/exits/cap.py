"""Leave when the logits are high enough, and see enough of the feature."""

from typing_extensions import override

from ee_lightning.errors import require_within
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.exits.energy import Energy

NSP = "nsp"
"""The extra that CAP reads."""


class CAP(Criterion):
    r"""Class-aware probability with null space projection, from NSP (He 2025).

    Beside its logits every exit gives a number :math:`N_m` between 0 and 1, the share of its feature that no logit
    sees. After exit m the score is :math:`\ln \sum_c \exp z_m(c) - \alpha N_m`, with :math:`z_m` the logits of exit m
    over the classes c, which the author writes as the last entry of the softmax of the logits and :math:`\alpha N_m`,
    below a threshold; the label is the most likely class. At :math:`\alpha = 0` it is `Energy`, and at 0.1 it differs
    from it by 0.1 at most.

    It reads the exits' extra "nsp", of shape [batch], which only models with ``model.heads.nsp`` give.

    Args:
        alpha: The weight of what no logit sees, at least 0; the author's script has 0.1.
    """

    name = "cap"
    reads = NSP

    def __init__(self, alpha: float = 0.1) -> None:
        require_within(alpha, "[0, inf)", "CAP.alpha", "0.1 is the author's")
        self.alpha = alpha
        self._energy = Energy()

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        unseen = output.extra(NSP, "train a model with --model.heads.nsp true, or leave cap out")
        (energy, label), state = self._energy.step(output, state)
        return Decision(energy - self.alpha * unseen, label), state
