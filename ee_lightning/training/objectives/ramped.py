"""Early exits that count more and more."""

import torch
from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import require_within
from ee_lightning.exits.placement import Layers
from ee_lightning.functional import accuracy_term
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class RampedObjective(Objective):
    r"""The last exit, and the early exits with weights that rise over training (Shallow-Deep, Kaya et al. 2019).

    .. math:: L = \sum_{m=1}^{M-1} \tau_m \ell_m + \ell_M, \qquad \tau_m = s + t \, (d_m / d_M - s)

    with M exits, :math:`\ell_m` the cross entropy of exit m with the label, for regression the squared error, t the
    share of training that is done, s the start, and :math:`d_m` the layer after which exit m stands. An exit's highest
    weight is its cost relative to the whole model, here in layers.

    Args:
        start: s, the weight at the start, in [0, 1].
    """

    def __init__(self, start: float = 0.01) -> None:
        super().__init__()
        hint = "it is the early exits' first weight: 0.01 is the paper's"
        require_within(start, "[0, 1]", "model.objective.init_args.start", hint)
        self.start = start
        self._layers: Layers = ()

    @override
    def check_exits(self, layers_of_exits: Layers) -> None:
        super().check_exits(layers_of_exits)
        self._layers = layers_of_exits

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The parts are ``accuracy_term`` and ``mean_weight`` of the early exits."""
        logits = output.logits  # [exits, batch, classes]
        layers = torch.tensor(self._layers or range(1, len(logits) + 1)).to(logits)  # [exits]
        highest = layers / layers[-1]  # [exits]
        weights = self.start + progress.share * (highest - self.start)  # [exits]
        weights[-1] = 1.0
        loss = accuracy_term(logits, labels, weights)
        return ObjectiveTerms(loss, {"accuracy_term": loss.detach(), "mean_weight": weights[:-1].mean()})
