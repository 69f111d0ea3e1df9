"""Leave when the most likely class is likely enough."""

from typing import Literal, get_args

import torch
from torch import Tensor

from ee_lightning.errors import require_one_of
from ee_lightning.exits.criterion import Criterion, Decision, State, name_with_options
from ee_lightning.exits.output import ExitOutput

Fallback = Literal["last", "most_confident"]


class Confidence(Criterion):
    r"""Maximum softmax probability, from Shallow-Deep Networks (Kaya et al. 2019) and RightTool (Schwartz et al. 2020).

    After exit m the score is :math:`\max_c p_m(c)`, with :math:`p_m` the softmax of exit m's logits over the classes c;
    the label is the class that attains it. The threshold is a probability: at :math:`\tau` a sample leaves once
    :math:`\max_c p_m(c) \ge \tau`. At 0 all leave at exit 1.

    Args:
        fallback: What to predict where no exit let a sample leave: the class of the "last" exit, or as Shallow-Deep
            Networks do that of the "most_confident" of all exits (of several, the earliest).

    Raises:
        OptionError: If `fallback` is neither of the two.
    """

    name = "confidence"

    def __init__(self, fallback: Fallback = "last") -> None:
        require_one_of(fallback, get_args(Fallback), "Confidence.fallback")
        self.fallback_rule = fallback
        self.name = name_with_options(self.name, fallback=(fallback, "last"))

    def initial_state(self, batch_size: int, num_classes: int, device: torch.device) -> State:
        """See `Criterion.initial_state`."""
        if self.fallback_rule == "last":
            return {}
        return {
            "highest": torch.zeros(batch_size, device=device),  # [batch]
            "label": torch.zeros(batch_size, dtype=torch.int64, device=device),  # [batch]
        }

    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """See `Criterion.step`."""
        confidence, predictions = output.probabilities.amax(-1), output.predictions  # [batch], [batch]
        decision = Decision(confidence, predictions)
        if self.fallback_rule == "last":
            return decision, state
        is_higher = confidence > state["highest"]  # [batch]
        return decision, {
            "highest": torch.where(is_higher, confidence, state["highest"]),  # [batch]
            "label": torch.where(is_higher, predictions, state["label"]),  # [batch]
        }

    def fallback(self, output: ExitOutput, state: State) -> Tensor:
        """See `Criterion.fallback`."""
        return output.predictions if self.fallback_rule == "last" else state["label"]
