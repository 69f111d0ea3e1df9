"""Exits that share no layers in training."""

from torch import Tensor
from typing_extensions import override

from ee_lightning.functional import exit_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class SWEETObjective(Objective):
    r"""All exits' losses, of which each layer learns from the next exit alone (Separating Weights, Rotem et al. 2023).

    .. math:: L = \sum_{m=1}^{M} \ell_m, \qquad \partial \ell_m / \partial \theta_l = 0 \ \text{for layers } l
        \text{ up to exit } m - 1

    with M exits and :math:`\ell_m` the cross entropy of exit m with the label, for regression the squared error. Behind
    each exit the hidden state is a constant for the gradient, so that the exits' updates don't conflict. The authors
    place exits after layers 1, 4, 6 and 12.
    """

    separates_exits = True

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The part is ``accuracy_term``."""
        loss = exit_losses(output.logits, labels).sum()
        return ObjectiveTerms(loss, {"accuracy_term": loss.detach()})
