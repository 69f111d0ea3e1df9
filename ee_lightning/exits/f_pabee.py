"""Leave when enough exits in a row have hardly changed the distribution over the classes."""

import math
from collections.abc import Callable
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
from ee_lightning.functional import Array, at_least, least, log_softmax, namespace

Divergence = Literal["kl", "reverse_kl", "symmetric_kl", "jsd"]


class FPABEE(Criterion):
    r"""Flexible patience, F-PABEE (Gao et al. 2023).

    Its rule is "t exits in a row differ from the one before by less than a bound". So the score after exit m is the
    least of :math:`-D(p_{j-1}, p_j)` over the last t exits j, with :math:`p_j` the softmax of exit j's logits and D a
    divergence in nats; up to exit t it is -inf, and no sample leaves, so that t + 1 is the earliest exit. The label is
    exit m's most likely class. The threshold is a negative divergence: a sample leaves once the last t of them are at
    most :math:`-\tau`. The paper has "below" for "at most". With a patience of M exits or more no sample leaves.

    The decision after exit m reads exits 1 to m. (The authors' code runs layer m + 1 to decide on layer m, so that its
    saving is overstated about twofold.)

    Args:
        divergence: "kl" for :math:`KL(p_{j-1} \| p_j)`, "reverse_kl" for :math:`KL(p_j \| p_{j-1})`, "symmetric_kl"
            for the sum of the two, or "jsd" for the Jensen-Shannon divergence, at most ln 2, which the authors found
            best.
        patience: The t of the rule, from 1. The paper tunes it.
    """

    name = "f_pabee"

    def __init__(self, divergence: Divergence = "jsd", patience: int = 2) -> None:
        require_one_of(divergence, get_args(Divergence), "FPABEE.divergence")
        check_patience(patience, "FPABEE.patience")
        self.divergence, self.patience = DIVERGENCES[divergence], patience

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        current = output.probabilities, output.log_probabilities
        if output.exit_layer == 1:
            closeness = no_values(output, self.patience)  # [batch, patience]
        else:
            divergence = self.divergence((state["probabilities"], state["log_probabilities"]), current)
            closeness = push(state["closeness"], -divergence)  # [batch, patience]
        following = {"closeness": closeness, "probabilities": current[0], "log_probabilities": current[1]}
        return Decision(least(closeness), output.predictions), following

    @override
    def highest_score(self, exit_layer: int) -> float:
        return -math.inf if exit_layer <= self.patience else math.inf


Distribution = tuple[Array, Array]
"""Probabilities and their natural logarithms, each of shape [batch, classes]."""


def _kl(first: Distribution, second: Distribution) -> Array:
    probabilities, log_probabilities = first
    return at_least(0, (probabilities * (log_probabilities - second[1])).sum(-1))  # [batch]; rounding may go below


def _jsd(first: Distribution, second: Distribution) -> Array:
    both = namespace(first[1]).stack([first[1], second[1]], axis=-1)  # [batch, classes, 2]
    to_mixture = log_softmax(both) + math.log(2)  # [batch, classes, 2]; the logarithms of p/mean and q/mean
    terms = first[0] * to_mixture[..., 0] + second[0] * to_mixture[..., 1]  # [batch, classes]
    return at_least(0, terms.sum(-1) / 2)  # [batch]


DIVERGENCES: dict[str, Callable[[Distribution, Distribution], Array]] = {
    "kl": _kl,
    "reverse_kl": lambda previous, current: _kl(current, previous),
    "symmetric_kl": lambda previous, current: _kl(previous, current) + _kl(current, previous),
    "jsd": _jsd,
}
