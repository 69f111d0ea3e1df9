"""The last exit and all exits in turn."""

from torch import Tensor
from typing_extensions import override

from ee_lightning.functional import exit_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class AlternatingObjective(Objective):
    r"""The last exit alone in even steps, counted from 0, and all exits in odd ones (BERxiT, Xin et al. 2021).

    .. math:: L_{even} = \ell_M, \qquad L_{odd} = \sum_{m=1}^{M} \ell_m

    with M exits and :math:`\ell_m` the cross entropy of exit m with the label, for regression the squared error. A step
    is an optimiser step, with however many batches it accumulates. In even steps the gradients of the early exits and
    of a gate beside them are 0, and AdamW's momentum moves them on.
    """

    @override
    def trains_early_exits(self, progress: Progress) -> bool:
        return progress.step % 2 == 1

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The part is ``last_exit_term`` or ``accuracy_term``."""
        losses = exit_losses(output.logits, labels)  # [exits]
        if not self.trains_early_exits(progress):
            return ObjectiveTerms(losses[-1], {"last_exit_term": losses[-1].detach()})
        loss = losses.sum()
        return ObjectiveTerms(loss, {"accuracy_term": loss.detach()})
