"""Exits that learn most from the samples that would leave near them."""

import torch
from torch import Tensor
from typing_extensions import override

from ee_lightning.errors import require_within
from ee_lightning.functional import sample_losses
from ee_lightning.models import MultiExitOutput
from ee_lightning.training.objectives.objective import Objective, ObjectiveTerms
from ee_lightning.training.optimization import Progress


class COSEEObjective(Objective):
    r"""Cross entropies weighted by where samples would leave, and a signal that separates right from wrong.

    From COSEE (He et al. 2025).

    .. math:: L = \frac{1}{K} \sum_{k=1}^{K} \sum_{m=1}^{M} w_{km} \ell_m
        + \alpha \, \frac{1}{|S|} \sum_{m \in S} \max(0, \bar{s}_m^+ - \bar{s}_m^- + \epsilon), \qquad
        w_{km} = \mathrm{softmax}_m(-\beta t \, |m - e_k|)

    with M exits, :math:`\ell_m` the cross entropy of exit m with the label, and the signal
    :math:`s_m = 1 / (1 + \sum_c \exp z_m(c))` of its logits, low where it is sure. For each of K thresholds a sample
    would leave at exit :math:`e_k`, the first whose signal is at most that, or the last. The share t of training that
    is done sharpens the weights, which are constants for the gradient. S are the early exits that are right on some
    samples of the batch and wrong on others, and :math:`\bar{s}_m^+` and :math:`\bar{s}_m^-` their mean signals on
    these.

    Thresholds are drawn evenly between the least and the largest signal of the batch; the authors take those of the
    epoch before.

    Args:
        contrast_weight: α ≥ 0.
        margin: ε ≥ 0.
        sharpness: β ≥ 0.
        num_thresholds: K, from 1.
    """

    handles_regression = False

    def __init__(
        self, contrast_weight: float = 0.1, margin: float = 0.3, sharpness: float = 10.0, num_thresholds: int = 5
    ) -> None:
        super().__init__()
        where = "model.objective.init_args."
        require_within(contrast_weight, "[0, inf)", f"{where}contrast_weight", "it is α: the authors take 0.1")
        require_within(margin, "[0, inf)", f"{where}margin", "it is ε: the authors take 0.3")
        require_within(sharpness, "[0, inf)", f"{where}sharpness", "it is β: the authors take 10")
        require_within(num_thresholds, "[1, inf)", f"{where}num_thresholds", "it is K: the authors take 5")
        self.contrast_weight, self.margin = contrast_weight, margin
        self.sharpness, self.num_thresholds = sharpness, num_thresholds

    @override
    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """The parts are ``accuracy_term`` and ``contrast_term`` (without α)."""
        logits = output.logits  # [exits, batch, classes]
        signal = (-logits.logsumexp(-1)).sigmoid()  # [exits, batch]
        losses = sample_losses(logits, labels)  # [exits, batch]
        weights = self._weights(signal.detach(), progress)  # [thresholds, exits, batch]
        accuracy = (weights * losses).sum(1).mean()
        contrast = self._contrast(signal[:-1], logits[:-1].argmax(-1) == _numbers(labels))
        loss = accuracy + self.contrast_weight * contrast
        return ObjectiveTerms(loss, {"accuracy_term": accuracy.detach(), "contrast_term": contrast.detach()})

    def _weights(self, signal: Tensor, progress: Progress) -> Tensor:
        low, high = signal.aminmax()
        generator = torch.Generator().manual_seed(progress.step)  # so that all processes draw the same
        drawn = torch.rand(self.num_thresholds, 1, 1, generator=generator)
        thresholds = low + (high - low) * drawn.to(signal)  # [thresholds, 1, 1]
        leaves = signal <= thresholds  # [thresholds, exits, batch]
        leaves[:, -1] = True
        exits = leaves.int().argmax(1, keepdim=True)  # [thresholds, 1, batch]
        places = torch.arange(len(signal), device=signal.device).view(1, -1, 1)  # [1, exits, 1]
        return (-self.sharpness * progress.share * (places - exits).abs()).softmax(1)

    def _contrast(self, signal: Tensor, right: Tensor) -> Tensor:
        num_right, num_wrong = right.sum(-1), (~right).sum(-1)  # [early exits]
        of_right = (signal * right).sum(-1) / num_right.clamp_min(1)  # [early exits]
        of_wrong = (signal * ~right).sum(-1) / num_wrong.clamp_min(1)  # [early exits]
        has_both = (num_right > 0) & (num_wrong > 0)  # [early exits]
        excess = (of_right - of_wrong + self.margin).clamp_min(0) * has_both  # [early exits]
        return excess.sum() / has_both.sum().clamp_min(1)


def _numbers(labels: Tensor) -> Tensor:
    """Return class numbers, of shape [batch], also of classes' shares [batch, classes]."""
    return labels.argmax(-1) if labels.ndim == 2 else labels
