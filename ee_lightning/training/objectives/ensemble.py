"""The objective of "Early Exiting with Ensemble Internal Classifiers"."""

from math import log
from typing import Literal

from torch import Tensor

from ee_lightning.errors import OptionError, require_one_of
from ee_lightning.functional import accuracy_term, diversity_term, equal_weights, linear_weights
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms

LAYER_WEIGHTS = {"equal": equal_weights, "linear": linear_weights}


class EnsembleObjective(Objective):
    r"""Accuracy of every exit, and diversity of each exit from the earlier ones.

    .. math:: L = \sum_{m=1}^{M} \alpha_m \, CE(p_m, y) - \lambda \sum_{m=2}^{M} \min_{j<m} CE(p_m, p_j)

    with M exits, :math:`p_m` the class probabilities of exit m, y the label, :math:`\alpha_m` the layer weights and
    :math:`CE(p_m, p_j) = -\sum_c p_j(c) \log p_m(c)`, whose target is the earlier exit. λ = 0 leaves the joint training
    of prior work. The diversity term has no upper bound: training can run away for a large λ, and is then stopped.

    Source: Sun et al. 2021 (arXiv 2105.13792), formula 14. Defaults follow the second author's later code.

    Args:
        diversity_weight: λ ≥ 0; the paper searches [0, 1].
        minimum: Over what the minimum is taken: ``batch`` compares the batch's mean cross entropies, ``sample`` those
            of each sample.
        last_exit: Whether the last exit has a diversity term; the paper's variant drops it.
        layer_weights: α: ``equal`` (1), or ``linear`` (m), which the paper's appendix mentions for BERT.
        stop_gradient: Whether the earlier exit counts as a constant in the diversity term.

    Raises:
        OptionError: An option has a value that makes no sense.
    """

    def __init__(
        self,
        diversity_weight: float = 0.1,
        minimum: Literal["batch", "sample"] = "batch",
        last_exit: bool = True,
        layer_weights: Literal["equal", "linear"] = "equal",
        stop_gradient: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= diversity_weight < float("inf"):
            raise OptionError(
                f"diversity_weight (λ) must be a number ≥ 0, but is {diversity_weight}",
                where="model.objective.init_args.diversity_weight",
                mend="the paper searches [0, 1]; 0.1 is a good start, 0 leaves the accuracy term alone",
            )
        require_one_of(minimum, ("batch", "sample"), "model.objective.init_args.minimum")
        require_one_of(layer_weights, LAYER_WEIGHTS, "model.objective.init_args.layer_weights")
        self.diversity_weight = diversity_weight
        self.minimum: Literal["batch", "sample"] = minimum
        self.last_exit = last_exit
        self.layer_weights = LAYER_WEIGHTS[layer_weights]
        self.stop_gradient = stop_gradient

    def forward(self, logits: Tensor, labels: Tensor) -> ObjectiveTerms:
        """See :meth:`Objective.forward`; the parts are ``accuracy_term`` and ``diversity_term`` (without λ)."""
        accuracy = accuracy_term(logits, labels, self.layer_weights(len(logits)).to(logits))
        diversity = diversity_term(
            logits, minimum=self.minimum, last_exit=self.last_exit, stop_gradient=self.stop_gradient
        )
        loss = accuracy - self.diversity_weight * diversity
        return ObjectiveTerms(loss, {"accuracy_term": accuracy.detach(), "diversity_term": diversity.detach()})

    def divergence(self, terms: ObjectiveTerms, logits: Tensor) -> str | None:
        """See :meth:`Objective.divergence`; also when confident disagreement has become worth more than being right.

        The limit is the accuracy term of exits that only guess, Σ α_m log C. The loss starts near it, and falls below
        its negative only where the diversity term has run away.
        """
        if (reason := super().divergence(terms, logits)) is not None:
            return reason
        num_exits, _, num_classes = logits.shape
        limit = self.layer_weights(num_exits).sum().item() * log(num_classes)
        if terms.loss.item() >= -limit:
            return None
        return (
            f"the diversity term runs away: it is {terms.terms['diversity_term'].item():.3g}, and λ times it has "
            f"brought the loss down to {terms.loss.item():.3g}"
        )
