"""Exits that a gate shares the samples out among."""

import torch
from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import require_within
from ee_lightning.exits import GATE
from ee_lightning.functional import halting_log_probabilities, sample_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class PALBERTObjective(Objective):
    r"""The loss that is expected where a gate lets samples leave at random (PALBERT, Balagansky and Gavrilov 2022).

    .. math:: L = \sum_{m=1}^{M} p_m \ell_m + \beta \, KL(p \| g), \qquad p_m = (1 - u_m) \prod_{j<m} u_j, \qquad
        g_m = \pi (1 - \pi)^{m-1}

    with M exits, :math:`\ell_m` the cross entropy of exit m with a sample's label, for regression the squared error,
    and :math:`u_m` the probability, by the gate of exit m, of going on. All who reach the last exit leave there, so
    that :math:`p_M` and :math:`g_M` are what the earlier exits leave over. Both terms are means over the batch. It is
    PonderNet's loss (Banino et al. 2021); the authors' code has the divergence the other way around, and no rest at
    the last exit. The criterion `ee_lightning.exits.QExit` is theirs.

    The authors have one classifier for all layers, and their gate also reads what the layer before gave. Here every
    exit has its own classifier, and reads nothing of other exits, so that any of them can be asked alone.

    Args:
        prior_weight: β ≥ 0; the authors' example has 0.5.
        prior: π, in (0, 1): how likely a sample leaves at an exit that it reaches, before anything is learnt.
    """

    trains_gates = True

    def __init__(self, prior_weight: float = 0.5, prior: float = 0.1) -> None:
        super().__init__()
        where = "model.objective.init_args."
        require_within(prior_weight, "[0, inf)", f"{where}prior_weight", "it is β: the authors take 0.5")
        require_within(prior, "(0, 1)", f"{where}prior", "it is a probability of leaving: the authors take 0.1")
        self.prior_weight, self.prior = prior_weight, prior

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The parts are ``accuracy_term``, ``prior_term`` (without β), and ``mean_exit``, the expected exit."""
        gate = output.extras[GATE]  # [exits, batch]
        losses = sample_losses(output.logits, labels).view(*gate.shape, -1).mean(-1)  # [exits, batch]
        logarithms = halting_log_probabilities(gate)  # [exits, batch]
        probabilities = logarithms.exp()  # [exits, batch]
        of_prior = halting_log_probabilities(torch.full_like(gate[:, :1], 1 - self.prior))  # [exits, 1]
        accuracy = (probabilities * losses).sum(0).mean()
        divergence = (probabilities * (logarithms - of_prior)).sum(0).mean()
        numbers = torch.arange(1, len(gate) + 1).to(gate).unsqueeze(-1)  # [exits, 1]
        parts = {
            "accuracy_term": accuracy,
            "prior_term": divergence,
            "mean_exit": (probabilities * numbers).sum(0).mean(),
        }
        loss = accuracy + self.prior_weight * divergence
        return ObjectiveTerms(loss, {name: part.detach() for name, part in parts.items()})
