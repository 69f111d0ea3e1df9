"""Exits that learn from the labels and from each other."""

from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import require_within
from ee_lightning.functional import divergences_from, exit_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class MutualDistillationObjective(Objective):
    r"""All exits' cross entropies, and every exit's divergence from every other.

    .. math:: L = \sum_{m=1}^{M} CE(p_m, y)
        + \beta \sum_{m=1}^{M} \frac{1}{M - 1} \sum_{j \ne m} KL(p_j \| p_m)

    with M exits, :math:`p_m` the class probabilities of exit m, y the label, and the teacher :math:`p_j` a constant, as
    in deep mutual learning (Zhang et al. 2018). The idea is LeeBERT's (Zhu 2021), which learns the weights of the terms
    on held-out data; here they are equal.

    Args:
        distillation_weight: β ≥ 0.
    """

    handles_regression = False

    def __init__(self, distillation_weight: float = 1.0) -> None:
        super().__init__()
        hint = "it is β: 1 lets the labels and the other exits count alike"
        require_within(distillation_weight, "[0, inf)", "model.objective.init_args.distillation_weight", hint)
        self.distillation_weight = distillation_weight

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The parts are ``accuracy_term`` and ``distillation_term`` (without β)."""
        logits = output.logits  # [exits, batch, classes]
        accuracy = exit_losses(logits, labels).sum()
        divergences = divergences_from(logits.unsqueeze(1), logits.unsqueeze(0))  # [teachers, students]
        distillation = divergences.sum() / max(1, len(logits) - 1)  # the divergence of an exit from itself is 0
        loss = accuracy + self.distillation_weight * distillation
        return ObjectiveTerms(loss, {"accuracy_term": accuracy.detach(), "distillation_term": distillation.detach()})
