"""The last exit alone: a plain fine-tuned model."""

from collections.abc import Sequence

from torch import Tensor
from typing_extensions import override

from ee_lightning.functional import exit_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress, Stage


class LastExitObjective(Objective):
    """The last exit's cross entropy with the label, for regression the squared error.

    With ``model.heads.exits: last`` this is the usual fine-tuning that early exits are compared with, and with
    ``model.num_layers: 6`` the truncated "6L" baseline. Exits before the last stay untrained.
    """

    @override
    def stages(self) -> Sequence[Stage]:
        return (Stage(trains=frozenset({"backbone", "last_exit"})),)

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The part is ``accuracy_term``."""
        loss = exit_losses(output.logits[-1:], labels).sum()
        return ObjectiveTerms(loss, {"accuracy_term": loss.detach()})
