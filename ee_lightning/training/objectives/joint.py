"""All exits trained together on the labels."""

from typing import Literal

from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import require_one_of
from ee_lightning.functional import accuracy_term, equal_weights, linear_weights
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress

LAYER_WEIGHTS = {"equal": equal_weights, "linear": linear_weights}


class JointObjective(Objective):
    r"""A weighted sum, or mean, of all exits' losses.

    .. math:: L = \sum_{m=1}^{M} \alpha_m \, \ell_m \quad \text{or} \quad
        L = \sum_m \alpha_m \, \ell_m \Big/ \sum_m \alpha_m

    with M exits and :math:`\ell_m` the cross entropy of exit m with the label, for regression the squared error.

    Sources: the sum with equal weights is RightTool's (Schwartz et al. 2020) and ElasticBERT's (Liu et al. 2022), who
    adds gradient equilibrium (Li et al. 2019); the mean with linear weights is PABEE's (Zhou et al. 2020).

    Args:
        layer_weights: α: ``equal`` (1), or ``linear`` (m).
        reduction: ``sum`` or ``mean``, by the weights.
        gradient_equilibrium: Let the exits send each layer the mean of their gradients instead of the sum, so that
            shallow layers, which all exits teach, don't move faster than deep ones.
    """

    def __init__(
        self,
        layer_weights: Literal["equal", "linear"] = "equal",
        reduction: Literal["sum", "mean"] = "sum",
        gradient_equilibrium: bool = False,
    ) -> None:
        super().__init__()
        require_one_of(layer_weights, LAYER_WEIGHTS, "model.objective.init_args.layer_weights")
        require_one_of(reduction, ("sum", "mean"), "model.objective.init_args.reduction")
        self.layer_weights = layer_weights
        self.reduction = reduction
        self.gradient_equilibrium = gradient_equilibrium

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The part is ``accuracy_term``."""
        logits = output.logits  # [exits, batch, classes]
        weights = LAYER_WEIGHTS[self.layer_weights](len(logits)).to(logits)  # [exits]
        if self.reduction == "mean":
            weights = weights / weights.sum()
        loss = accuracy_term(logits, labels, weights)
        return ObjectiveTerms(loss, {"accuracy_term": loss.detach()})
