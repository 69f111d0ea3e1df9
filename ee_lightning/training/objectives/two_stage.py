"""The backbone first, with its last exit; then the other exits on what it has become."""

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import require_within
from ee_lightning.functional import divergences_from, exit_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress, Stage


class _TwoStage(Objective):
    def __init__(self, first_stage: float = 0.5) -> None:
        super().__init__()
        hint = "it is a share of all steps: 0.5 gives both stages the same"
        require_within(first_stage, "(0, 1)", "model.objective.init_args.first_stage", hint)
        self.first_stage = first_stage

    @override
    def stages(self) -> Sequence[Stage]:
        return (
            Stage(self.first_stage, frozenset({"backbone", "last_exit"})),
            Stage(1 - self.first_stage, frozenset({"early_exits", "gates"})),
        )

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The part is ``accuracy_term`` in the first stage."""
        if progress.stage == 0:
            loss = exit_losses(output.logits[-1:], labels).sum()
            return ObjectiveTerms(loss, {"accuracy_term": loss.detach()})
        return self.second_stage(output.logits, labels)

    @abstractmethod
    def second_stage(self, logits: Tensor, labels: Tensor) -> ObjectiveTerms:
        """Compute the loss of the early exits; of their logits, ``[exits, batch, classes]``, and the labels."""


class TwoStageObjective(_TwoStage):
    r"""Fine-tune backbone and last exit, freeze both, and train the other exits (DeeBERT, Xin et al. 2020).

    .. math:: L_1 = \ell_M, \qquad L_2 = \sum_{m=1}^{M-1} \ell_m

    with M exits and :math:`\ell_m` the cross entropy of exit m with the label, for regression the squared error. Each
    stage has a warm-up and a decay of its own. A checkpoint should not be chosen by the last exit, which the second
    stage does not change: monitor an area, such as ``val/entropy/area``.

    Args:
        first_stage: The share of all steps that the first stage takes, in (0, 1).
    """

    def second_stage(self, logits: Tensor, labels: Tensor) -> ObjectiveTerms:
        """Compute :math:`L_2`; the part is ``accuracy_term``."""
        loss = exit_losses(logits[:-1], labels).sum()
        return ObjectiveTerms(loss, {"accuracy_term": loss.detach()})


class SelfDistillationObjective(_TwoStage):
    r"""Fine-tune backbone and last exit, freeze both, and let the other exits learn from the last (FastBERT, Liu 2020).

    .. math:: L_1 = \ell_M, \qquad L_2 = \sum_{m=1}^{M-1} KL(p_M \| p_m)

    with M exits, :math:`\ell_m` the cross entropy of exit m with the label, and :math:`p_m` the class probabilities of
    exit m. The teacher is the target and comes first, as is usual for soft targets, so that an exit pays for every
    class that the teacher finds likely and it does not; the paper writes the student first, :math:`D_{KL}(p_s, p_t)`.
    The second stage needs no labels. Each stage has a warm-up and a decay of its own. A checkpoint should not be chosen
    by the last exit, which the second stage does not change: monitor an area.

    Args:
        first_stage: The share of all steps that the first stage takes, in (0, 1).
    """

    handles_regression = False

    def second_stage(self, logits: Tensor, labels: Tensor) -> ObjectiveTerms:
        """Compute :math:`L_2`; the part is ``distillation_term``."""
        loss = divergences_from(logits[-1], logits[:-1]).sum()
        return ObjectiveTerms(loss, {"distillation_term": loss.detach()})
