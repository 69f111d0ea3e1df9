"""The outputs of all exits for a whole data set: one forward pass that answers every criterion at every threshold."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ee_lightning.errors import DataError, TrainingDiverged
from ee_lightning.exits.criterion import ExitOutput


@dataclass(frozen=True, eq=False)
class StoredExits:
    """What every exit said of every sample.

    Attributes:
        logits: In float32, of shape [exits, samples, classes].
        labels: True class numbers, of shape [samples]; None if they are not known.
        ids: What each sample is called in its data set, of shape [samples].
        extras: What else the exits gave, such as a gate's scores, each of shape [exits, samples].

    Raises:
        ValueError: If a shape or the type of the logits is another.
        DataError: If there is no sample.
        TrainingDiverged: If a logit is NaN or infinite.
    """

    logits: Tensor
    labels: Tensor | None
    ids: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the shapes and the logits."""
        if self.logits.ndim != 3 or self.logits.dtype != torch.float32:
            raise ValueError(
                "Expected argument `logits` of shape [exits, samples, classes] in torch.float32, "
                f"but got shape {list(self.logits.shape)} in {self.logits.dtype}."
            )
        self._check_shape("ids", self.ids, self.logits.shape[1:2])
        if self.labels is not None:
            self._check_shape("labels", self.labels, self.logits.shape[1:2])
        for name, extra in self.extras.items():
            self._check_shape(f"extras[{name!r}]", extra, self.logits.shape[:2])
        if self.num_samples == 0:
            raise DataError("There is no sample to store exits of", mend="choose a split that is not empty")
        self._check_finite()

    @property
    def num_exits(self) -> int:
        """Number of exits M."""
        return self.logits.shape[0]

    @property
    def num_samples(self) -> int:
        """Number of samples."""
        return self.logits.shape[1]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.logits.shape[2]

    def output(self, exit_layer: int) -> ExitOutput:
        """Give what one exit said of all samples.

        Args:
            exit_layer: The number of the exit, from 1.
        """
        return ExitOutput(
            exit_layer=exit_layer,
            num_exits=self.num_exits,
            logits=self.logits[exit_layer - 1],
            extras={name: extra[exit_layer - 1] for name, extra in self.extras.items()},
            labels=self.labels,
        )

    def _check_shape(self, name: str, tensor: Tensor, shape: torch.Size) -> None:
        if tensor.shape != shape:
            raise ValueError(
                f"Expected argument `{name}` of shape {list(shape)}, but got {list(tensor.shape)} "
                f"beside logits of shape {list(self.logits.shape)}."
            )

    def _check_finite(self) -> None:
        is_broken = ~self.logits.isfinite().all(-1)  # [exits, samples]
        if is_broken.any():
            exit_index, sample = is_broken.nonzero()[0].tolist()
            raise TrainingDiverged(
                f"Exit {exit_index + 1} gives logits that are not finite: {self.logits[exit_index, sample].tolist()}",
                where=f"sample with id {self.ids[sample].item()}, one of {int(is_broken.any(0).sum())} such samples",
                mend="train with a lower learning rate or less weight on the diversity term; "
                "if the weights themselves are finite, evaluate in float32",
            )
