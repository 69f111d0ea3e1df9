"""What every exit said of the samples of a split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from ee_lightning.errors import DataError, TrainingDiverged, counted
from ee_lightning.exits.criterion import ExitOutput
from ee_lightning.exits.placement import Layers, ascending, exits_after, numbers_of
from ee_lightning.functional import Kind, Target, predictions_of


@dataclass(frozen=True)
class EvaluatedRows:
    """Which rows of a split were evaluated.

    Attributes:
        total: Number of rows of the split; None if it is not known, which counts as no more than were evaluated.
        is_drawn: Whether they are all rows of the split, or were drawn from them at random.
        files: The files that the split was read from, to whose rows the ids refer, counted on from file to file; none
            if the ids are the positions of the rows in the split.
    """

    total: int | None = None
    is_drawn: bool = True
    files: list[str] = field(default_factory=list)


_WHOLE = {torch.int32, torch.int64}
_FLOATS = {torch.float32, torch.float64}


@dataclass(frozen=True, eq=False)
class StoredExits:
    """What every exit said of every sample.

    Attributes:
        logits: In float32, of shape [exits, samples, classes]; one class is regression, and the logit the value.
        labels: True class numbers, or values for regression, of shape [samples]; of several labels 1 where one is there
            and 0 elsewhere, of shape [samples, labels]; None if they are not known.
        ids: What each sample is called in its data set, of shape [samples].
        extras: What else the exits gave, such as a gate's scores, each of shape [exits, samples].
        multi_label: Whether every logit is of a label for itself: the classes are labels, of which a sample has any
            number.
        rows: Which rows of their split the samples are.
        layers_of_exits: The layer after which each exit stands; if none are given, exit m stands after layer m.

    Raises:
        ValueError: If a shape or a type is another, a label is not finite, or the layers don't suit the exits.
        DataError: If there is no sample.
        TrainingDiverged: If a logit or an extra is NaN or infinite.
    """

    logits: Tensor
    labels: Tensor | None
    ids: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    multi_label: bool = False
    rows: EvaluatedRows = field(default_factory=EvaluatedRows)
    layers_of_exits: Layers = ()

    def __post_init__(self) -> None:
        if self.logits.ndim != 3 or self.logits.dtype != torch.float32:
            raise ValueError(
                "Expected argument `logits` of shape [exits, samples, classes] in torch.float32, "
                f"but got shape {list(self.logits.shape)} in {self.logits.dtype}."
            )
        if 0 in (self.num_exits, self.num_classes):
            raise ValueError(f"Expected exits and classes in `logits`, but got shape {list(self.logits.shape)}.")
        layers = ascending(self.layers_of_exits or range(1, self.num_exits + 1), "layers_of_exits")
        if len(layers) != self.num_exits:
            raise ValueError(f"Expected {self.num_exits} `layers_of_exits`, but got {layers}.")
        object.__setattr__(self, "layers_of_exits", layers)
        per_exit, per_sample = self.logits.shape[:2], self.logits.shape[1:2]
        self._check("ids", self.ids, per_sample, _WHOLE)
        if self.labels is not None:
            shape = self.logits.shape[1:3] if self.multi_label else per_sample
            self._check("labels", self.labels, shape, _WHOLE | _FLOATS)
            if self.labels.dtype == torch.int32:
                object.__setattr__(self, "labels", self.labels.long())
        for name, extra in self.extras.items():
            self._check(f"extras[{name!r}]", extra, per_exit, _FLOATS)
        if self.num_samples == 0:
            raise DataError("There is no sample to store exits of", hint="choose a split that is not empty")
        self._check_finite()

    def __repr__(self) -> str:
        what = {Kind.SINGLE_LABEL: "classes", Kind.MULTI_LABEL: "labels", Kind.REGRESSION: "a value"}[self.target.kind]
        predicted = what if self.target.kind is Kind.REGRESSION else f"{self.num_classes} {what}"
        more = "".join([", with right ones" * (self.labels is not None), *(f", {name}" for name in self.extras)])
        samples = counted(self.num_samples, "sample")
        return f"StoredExits({samples}, {exits_after(self.layers_of_exits)}: {predicted}{more})"

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
        """Number of classes or labels."""
        return self.logits.shape[2]

    @property
    def target(self) -> Target:
        """What the exits predict of a sample."""
        return Target.of(self.num_classes, multi_label=self.multi_label)

    @property
    def predictions(self) -> Tensor:
        """What every exit predicts of every sample, of shape [exits, samples], or [exits, samples, labels]."""
        return predictions_of(self.logits, self.target.kind)

    def output(self, exit_layer: int) -> ExitOutput:
        """Return what the exit of a number, from 1, said of all samples."""
        return ExitOutput(
            exit_layer=exit_layer,
            num_exits=self.num_exits,
            logits=self.logits[exit_layer - 1],
            extras={name: extra[exit_layer - 1] for name, extra in self.extras.items()},
            labels=self.labels,
            kind=self.target.kind,
        )

    def select(self, samples: Tensor) -> Self:
        """Keep the samples at some positions, of shape [kept], in that order."""
        return replace(
            self,
            logits=self.logits[:, samples],  # [exits, kept, classes]
            labels=None if self.labels is None else self.labels[samples],  # [kept], or [kept, labels]
            ids=self.ids[samples],  # [kept]
            extras={name: extra[:, samples] for name, extra in self.extras.items()},  # [exits, kept] each
        )

    def asking(self, layers: Sequence[int]) -> Self:
        """Keep the exits after some layers, as if the model had no others; an `OptionError` if it lacks one."""
        places = torch.tensor(numbers_of(layers, self.layers_of_exits, "--exits")) - 1  # [asked]
        return replace(
            self,
            logits=self.logits[places],  # [asked, samples, classes]
            extras={name: extra[places] for name, extra in self.extras.items()},  # [asked, samples] each
            layers_of_exits=tuple(layers),
        )

    def layers_run(self, exit_layers: Tensor) -> Tensor:
        """Return the numbers of layers that samples execute which leave at some exits, numbered from 1, [samples]."""
        return torch.tensor(self.layers_of_exits, device=exit_layers.device)[exit_layers - 1]

    def class_numbers(self) -> Tensor:
        """Return the labels; raise a DataError if there are none, or one is no class number."""
        labels = self.known_labels()
        if labels.is_floating_point() or labels.min() < 0 or labels.max() >= self.num_classes:
            raise DataError(
                f"Labels must be whole numbers from 0 to {self.num_classes - 1}, but these are {labels.dtype} "
                f"from {labels.min().item()} to {labels.max().item()}",
                hint="use a split with labels, and heads with one output per class",
            )
        return labels

    def label_sets(self) -> Tensor:
        """Return the labels of samples that have several, 1 or 0; raise a DataError if they are not known."""
        labels = self.known_labels()
        if not ((labels == 0) | (labels == 1)).all():
            raise DataError(
                "Labels must be 1 where a sample has them and 0 elsewhere, and those of some samples are not known",
                hint="use a split with labels",
            )
        return labels

    def known_labels(self) -> Tensor:
        """Return the labels; raise a DataError if there are none."""
        if self.labels is None:
            raise DataError("Labels are needed, and these stored exits have none", hint="use a split with labels")
        return self.labels

    def _check(self, name: str, tensor: Tensor, shape: torch.Size, types: set[torch.dtype]) -> None:
        if tensor.dtype not in types:
            expected = ", ".join(sorted(map(str, types)))
            raise ValueError(f"Expected argument `{name}` in one of {expected}, but got {tensor.dtype}.")
        if tensor.shape != shape:
            raise ValueError(
                f"Expected argument `{name}` of shape {list(shape)}, but got {list(tensor.shape)} "
                f"beside logits of shape {list(self.logits.shape)}."
            )

    def _check_finite(self) -> None:
        if self.labels is not None and not self.labels.isfinite().all():
            raise ValueError("Expected argument `labels` to be finite.")
        spoken = {"logits": self.logits, **{name: extra.unsqueeze(-1) for name, extra in self.extras.items()}}
        for name, tensor in spoken.items():  # [exits, samples, ...]
            is_broken = ~tensor.isfinite().all(-1)  # [exits, samples]
            if is_broken.any():
                exit_index, sample = is_broken.nonzero()[0].tolist()
                such = int(is_broken.any(0).sum())
                raise TrainingDiverged(
                    f"Exit {exit_index + 1} gives {name} that are not finite: {tensor[exit_index, sample].tolist()}",
                    where=f"sample with id {self.ids[sample].item()}, one of {such} such samples",
                    hint="train with a lower learning rate or less weight on the diversity term; if the weights "
                    "themselves are finite, evaluate in float32 (--trainer.precision 32-true)",
                )
