"""A training objective of your own: copy this file, change `EarlyFirstObjective`, and name the class.

With the file in the working folder:

    ee-lightning fit --config configs/demo.yaml --model.objective own_objective.EarlyFirstObjective
"""

import torch
from torch import Tensor

from ee_lightning.functional import exit_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class EarlyFirstObjective(Objective):
    """The mean of the exits' losses, in which the early exits count most at first, and all alike at the end.

    Args:
        rate: How much more each exit counts than the next one when training begins, on a logarithmic scale.
    """

    def __init__(self, rate: float = 1.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """Return the loss [] of a batch, and its parts for the log, which carry no gradient."""
        logits = output.logits  # [exits, batch, classes]
        depth = torch.arange(len(logits), device=logits.device)  # [exits]
        weights = (-self.rate * (1 - progress.share) * depth).softmax(0)  # [exits]
        losses = exit_losses(logits, labels)  # [exits]; cross entropies, for regression squared errors
        return ObjectiveTerms((weights * losses).sum(), {"last_exit": losses[-1].detach()})
