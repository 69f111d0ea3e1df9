"""Leave when one class has enough of the exits' votes."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from ee_lightning.errors import OptionError
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State, name_with_options

DEFAULT_EXPONENT = 0.75
Fallback = Literal["last", "majority"]


class Voting(Criterion):
    r"""Votes of the exits so far, from the ensemble of internal classifiers (`Sun et al. 2021`_).

    Each exit casts one vote for its most likely class. After exit m the score is :math:`\max_c v_c(m) / m^k`, with
    :math:`v_c(m)` the votes for class c among exits 1 to m; the label is the class with most votes, and of several the
    one just voted for. The threshold has no unit: with k = 0 it counts votes, with k = 1 it is a share of them. The
    first vote scores 1, so at 1 and below all leave at exit 1.

    Args:
        k: How fast the bar rises with the number of votes cast, from 0. The default is the second author's.
        fallback: What to predict where no exit let a sample leave: the class of the "last" exit, or the class of the
            "majority" of all exits (of several, the last exit's, or else the first by number).

    Raises:
        OptionError: If `k` is negative or not finite, or `fallback` is neither of the two.

    .. _Sun et al. 2021: https://arxiv.org/abs/2105.13792
    """

    def __init__(self, k: float = DEFAULT_EXPONENT, fallback: Fallback = "last") -> None:
        if not 0 <= k < math.inf:
            raise OptionError(
                f"Voting got k={k}",
                where="Voting.k",
                mend="give a number from 0: at 0 the score counts votes, at 1 it is a share of them",
            )
        if fallback not in get_args(Fallback):
            raise OptionError(
                f"Voting got fallback={fallback!r}", where="Voting.fallback", mend=f"choose one of {get_args(Fallback)}"
            )
        self.k, self.fallback_rule = float(k), fallback
        self.name = name_with_options("voting", k=(self.k, DEFAULT_EXPONENT), fallback=(fallback, "last"))

    def start(self, batch_size: int, num_classes: int, device: torch.device) -> State:
        """See `Criterion.start`."""
        return {"votes": torch.zeros(batch_size, num_classes, dtype=torch.int64, device=device)}  # [batch, classes]

    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """See `Criterion.step`."""
        voted = output.predictions.unsqueeze(-1)  # [batch, 1]
        votes = state["votes"].scatter_add(1, voted, torch.ones_like(voted))  # [batch, classes]
        # A tensor: dividing by a number, some devices multiply by its reciprocal, and the last bit would differ.
        bar = torch.full((), output.exit_layer**self.k, dtype=torch.float32, device=votes.device)
        score = votes.amax(-1).float() / bar  # [batch]
        return Decision(score, _leading(votes, voted)), {"votes": votes}

    def fallback(self, output: ExitOutput, state: State) -> Tensor:
        """See `Criterion.fallback`."""
        if self.fallback_rule == "last":
            return output.predictions
        return _leading(state["votes"], output.predictions.unsqueeze(-1))


def _leading(votes: Tensor, voted: Tensor) -> Tensor:
    """Give the class with most votes, and of several the one just voted for."""
    is_leading = votes.gather(1, voted) == votes.amax(-1, keepdim=True)  # [batch, 1]
    return torch.where(is_leading, voted, votes.argmax(-1, keepdim=True)).squeeze(-1)  # [batch]
