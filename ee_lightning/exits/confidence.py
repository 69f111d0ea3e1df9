"""Leave when the most likely class is likely enough."""

import torch

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State


class Confidence(Criterion):
    r"""Maximum softmax probability, from Shallow-Deep Networks (Kaya et al. 2019) and RightTool (Schwartz et al. 2020).

    After exit m the score is :math:`\max_c p_m(c)`, with :math:`p_m` the softmax of exit m's logits over the classes c;
    the label is the class that attains it. The threshold is a probability: at :math:`\tau` a sample leaves once
    :math:`\max_c p_m(c) \ge \tau`. At 0 all leave at exit 1.
    """

    name = "confidence"

    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """See `Criterion.step`."""
        probabilities = output.logits.softmax(-1, dtype=torch.float32)  # [batch, classes]
        return Decision(probabilities.amax(-1), output.predictions), state
