"""The objective of "Early Exiting with Ensemble Internal Classifiers"."""

from math import isfinite, log
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import OptionError, require_one_of, require_within
from ee_lightning.functional import Kind, accuracy_term, diversity_term, pairwise_disagreement
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.joint import LAYER_WEIGHTS
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class EnsembleObjective(Objective):
    r"""Accuracy of every exit, and diversity of each exit from the earlier ones.

    .. math:: L = \sum_{m=1}^{M} \alpha_m \, CE(p_m, y) - \lambda \sum_{m=2}^{M} \min_{j<m} CE(p_m, p_j)

    with M exits, :math:`p_m` the class probabilities of exit m, y the label, :math:`\alpha_m` the layer weights and
    :math:`CE(p_m, p_j) = -\sum_c p_j(c) \log p_m(c)`, whose target is the earlier exit. λ = 0 leaves the joint training
    of prior work. The diversity term has no upper bound: training can run away for a large λ, and is then stopped.

    The paper defines it for one label a sample. Of several, each is a decision between its being absent and its being
    there, so that both terms are means over samples and labels, of binary cross entropies; ``sample`` then chooses an
    earlier exit for every label of a sample.

    Source: Sun et al. 2021 (arXiv 2105.13792), formula 14. Defaults follow the second author's later code.

    Args:
        diversity_weight: λ ≥ 0; the paper searches [0, 1].
        minimum: Over what the minimum is taken: ``batch`` compares the batch's mean cross entropies, ``sample`` those
            of each sample.
        last_exit: Whether the last exit has a diversity term; the paper's variant drops it.
        layer_weights: α: ``equal`` (1), or ``linear`` (m), which the paper's appendix mentions for BERT.
        stop_gradient: Whether the earlier exit counts as a constant in the diversity term.
        diversity_warmup: The share of all steps over which λ rises from 0, in [0, 1]; 0 keeps it constant.
    """

    def __init__(
        self,
        diversity_weight: float = 0.1,
        minimum: Literal["batch", "sample"] = "batch",
        last_exit: bool = True,
        layer_weights: Literal["equal", "linear"] = "equal",
        stop_gradient: bool = False,
        diversity_warmup: float = 0.0,
    ) -> None:
        super().__init__()
        options = "model.objective.init_args"
        hint = "it is λ: the paper searches [0, 1], and 0 leaves the accuracy term alone"
        require_within(diversity_weight, "[0, inf)", f"{options}.diversity_weight", hint)
        hint = "it is a share of all steps: 0 keeps λ constant"
        require_within(diversity_warmup, "[0, 1]", f"{options}.diversity_warmup", hint)
        require_one_of(minimum, ("batch", "sample"), f"{options}.minimum")
        require_one_of(layer_weights, LAYER_WEIGHTS, f"{options}.layer_weights")
        self.diversity_weight = diversity_weight
        self.minimum: Literal["batch", "sample"] = minimum
        self.last_exit = last_exit
        self.layer_weights = layer_weights
        self.stop_gradient = stop_gradient
        self.diversity_warmup = diversity_warmup

    @override
    def check_task(self, kind: Kind) -> None:
        """Λ = 0 is defined for regression too."""
        if kind is Kind.REGRESSION and self.diversity_weight > 0:
            raise OptionError(
                "the diversity term is a cross entropy between classes, and this task has a value to predict",
                where="model.objective.init_args.diversity_weight",
                hint="set it to 0, or take ee_lightning.training.JointObjective",
            )

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """Return the loss and its parts.

        The parts are ``accuracy_term``, ``diversity_term`` (without λ), ``diversity_weight`` (the λ of this step),
        ``diversity_share``, λ times the diversity term over the sum of both terms' sizes, and ``disagreement``, the
        share of pairs of exits that predict different classes.
        """
        logits = output.logits  # [exits, batch, classes]
        accuracy = accuracy_term(logits, labels, LAYER_WEIGHTS[self.layer_weights](len(logits)).to(logits))
        if logits.shape[-1] == 1:
            return ObjectiveTerms(accuracy, {"accuracy_term": accuracy.detach()})
        diversity = diversity_term(
            logits, minimum=self.minimum, last_exit=self.last_exit, stop_gradient=self.stop_gradient
        )
        warmed_up = 1.0 if progress.share >= self.diversity_warmup else progress.share / self.diversity_warmup
        weight = self.diversity_weight * warmed_up
        pairs = max(1, len(logits) * (len(logits) - 1))
        disagreement = pairwise_disagreement(logits.argmax(-1)).sum() / pairs  # 0 of an exit with itself
        size = (accuracy + weight * diversity).detach()
        return ObjectiveTerms(
            accuracy - weight * diversity,
            {
                "accuracy_term": accuracy.detach(),
                "diversity_term": diversity.detach(),
                "diversity_weight": torch.tensor(weight),
                "diversity_share": weight * diversity.detach() / size.clamp_min(torch.finfo(size.dtype).tiny),
                "disagreement": disagreement,
            },
        )

    @override
    def divergence(self, terms: ObjectiveTerms, logits: Tensor) -> str | None:
        """Also when confident disagreement has become worth more than being right.

        Exits that only guess have the accuracy term Σ α_m log C, and a diversity term of log C for each exit that has
        one. The limit is minus the first less λ times the second: the loss starts above it, and falls below it only
        where the diversity term has run away.
        """
        num_exits, _, num_classes = logits.shape
        num_diverse = max(0, num_exits - (1 if self.last_exit else 2))
        guesses = LAYER_WEIGHTS[self.layer_weights](num_exits).sum().item() + self.diversity_weight * num_diverse
        limit = guesses * log(num_classes)
        loss = terms.loss.item()  # once: where there is a GPU, the program waits for it here
        if isfinite(loss) and loss >= -limit:
            return None
        return super().divergence(terms, logits) or (
            f"the diversity term runs away: it is {terms.terms['diversity_term'].item():.3g}, and λ times it has "
            f"brought the loss down to {loss:.3g}"
        )
