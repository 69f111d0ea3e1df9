"""Options of what the exits are taught of a label."""

from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor

from ee_lightning.errors import OptionError, require_within
from ee_lightning.functional import Kind, Target, balanced_weights, label_decision_targets, soft_targets


@dataclass(frozen=True)
class LabelOptions:
    """Options of the labels that are trained on; evaluation knows nothing of them.

    Attributes:
        smoothing: The share of a label that is spread over all classes, in [0, 1). With several labels per sample each
            label's yes-or-no decision is smoothed.
        class_weights: How much a sample of each class counts, in the order of the labels. ``balanced``: all classes of
            the training rows count the same. None: all samples count the same. With several labels per sample, how
            much a "yes" for each label counts, where a "no" counts 1; ``balanced``: both count the same for each.
    """

    smoothing: float = 0.0
    class_weights: Literal["balanced"] | list[float] | None = None

    def __post_init__(self) -> None:
        """Raise an `OptionError` for values that make no sense."""
        require_within(self.smoothing, "[0, 1)", "--model.labels.smoothing", "0.1 is a usual value")
        weights = [] if self.class_weights in (None, "balanced") else [*(self.class_weights or ())]
        is_wrong = any(not isinstance(weight, int | float) or not 0 <= weight < inf for weight in weights)
        if is_wrong or (weights and not any(weights)):
            raise OptionError(
                f"class_weights are {self.class_weights}",
                where="--model.labels.class_weights",
                hint="give a number from 0 for each class, one of them above 0, or balanced",
            )

    @property
    def are_plain(self) -> bool:
        """Whether samples are taught their class alone, and count alike."""
        return self.smoothing == 0 and self.class_weights is None

    def check_task(self, target: Target) -> None:
        """Raise an OptionError for a task that has no classes, or not as many as there are weights."""
        if target.kind is Kind.REGRESSION and not self.are_plain:
            raise OptionError(
                "smoothing and class weights are for classes, and this task has a value to predict",
                where="--model.labels",
                hint="leave both out",
            )
        if isinstance(self.class_weights, list) and len(self.class_weights) != target.num_classes:
            raise OptionError(
                f"{len(self.class_weights)} class weights for {target.num_classes} classes",
                where="--model.labels.class_weights",
                hint="give one for each class, or balanced",
            )

    def weights_for(self, data: Any, kind: Kind) -> Tensor | None:
        """Return the class weights ``[classes]``, or None where all samples count alike.

        Of several labels a sample they are those of being absent and of being there, ``[labels, 2]``.

        Raises:
            OptionError: They are to be balanced, and the data module knows no ``class_counts``.
        """
        if self.class_weights is None:
            return None
        if self.class_weights != "balanced":
            weights = torch.tensor(self.class_weights)  # [classes]
            return torch.stack([torch.ones_like(weights), weights], dim=-1) if kind is Kind.MULTI_LABEL else weights
        if not hasattr(data, "class_counts"):
            raise OptionError(
                "it is not known how often each class occurs",
                where="--model.labels.class_weights balanced",
                hint="train with a TaskDataModule, or give the weights one by one",
            )
        return balanced_weights(torch.tensor(data.class_counts))

    def targets(self, labels: Tensor, num_classes: int, weights: Tensor | None) -> Tensor:
        """Return what an objective takes for labels: these where the options are plain, else ``[batch, classes]``.

        Of several labels a sample each one is a decision between two classes, see `functional.label_decisions`.

        Args:
            labels: Class numbers, or for regression values, ``[batch]``; or whether each label is there, ``[batch,
                labels]``.
            num_classes: Number of classes; 1 for regression.
            weights: What :meth:`weights_for` returned.
        """
        if labels.ndim == 2:
            return labels.flatten() if self.are_plain else label_decision_targets(labels, self.smoothing, weights)
        return labels if self.are_plain else soft_targets(labels, num_classes, self.smoothing, weights)
