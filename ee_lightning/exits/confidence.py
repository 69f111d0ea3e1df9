"""Leave when the most likely class is likely enough."""

from typing import Literal, get_args

from typing_extensions import override

from ee_lightning.errors import require_one_of
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import Array, Kind, largest, least, namespace, where_rows

Fallback = Literal["last", "most_confident"]


class Confidence(Criterion):
    r"""Maximum softmax probability, from Shallow-Deep Networks (Kaya et al. 2019) and RightTool (Schwartz et al. 2020).

    After exit m the score is :math:`\max_c p_m(c)`, with :math:`p_m` the softmax of exit m's logits over the classes c;
    the label is the class that attains it. The threshold is a probability: at :math:`\tau` a sample leaves once
    :math:`\max_c p_m(c) \ge \tau`. At 0 all leave at exit 1.

    Of several labels the score is that of the least sure one, :math:`\min_l \max(p_m(l), 1 - p_m(l))` with
    :math:`p_m(l)` the sigmoid of the logit of label l; at 0.5 all leave at exit 1.

    Args:
        fallback: What to predict where no exit let a sample leave: the class of the "last" exit, or as Shallow-Deep
            Networks do that of the "most_confident" of all exits (of several, the earliest).
    """

    name = "confidence"
    handles_multi_label = True

    def __init__(self, fallback: Fallback = "last") -> None:
        require_one_of(fallback, get_args(Fallback), "Confidence.fallback")
        self.fallback_rule = fallback

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        confidence, predictions = _confidence(output), output.predictions  # [batch], [batch] or [batch, labels]
        decision = Decision(confidence, predictions)
        if self.fallback_rule == "last":
            return decision, state
        if output.exit_layer == 1:
            return decision, {"highest": confidence, "label": predictions}
        is_higher = confidence > state["highest"]  # [batch]
        return decision, {
            "highest": namespace(confidence).where(is_higher, confidence, state["highest"]),  # [batch]
            "label": where_rows(is_higher, predictions, state["label"]),  # [batch] or [batch, labels]
        }

    @override
    def fallback(self, output: ExitOutput, state: State) -> Array:
        return output.predictions if self.fallback_rule == "last" else state["label"]


def _confidence(output: ExitOutput) -> Array:
    of_each = largest(output.probabilities)  # [batch] or [batch, labels]
    return least(of_each) if output.kind is Kind.MULTI_LABEL else of_each  # [batch]
