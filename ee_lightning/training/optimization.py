"""Stages of training, optimiser steps, learning rates and their schedule."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from typing import NamedTuple

from lightning import Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, GradientAccumulationScheduler
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from typing_extensions import override

from ee_lightning.errors import OptionError, require_within
from ee_lightning.models import MultiExitModel, Part

EVERYTHING: frozenset[Part] = frozenset({"backbone", "last_exit", "early_exits", "gates"})
_CHANGE_THE_STEPS = {
    BatchSizeFinder: "look for the largest --data.batch_size that fits in memory with short runs "
    "(--trainer.max_steps 3), and leave the callback out",
    GradientAccumulationScheduler: "use the same accumulation in all epochs, such as "
    "--trainer.accumulate_grad_batches 4, and leave the callback out",
}


@dataclass(frozen=True)
class Stage:
    """A stage of training, with warm-up and decay of its own.

    Attributes:
        share: How much of all optimiser steps it takes, in (0, 1]; the shares of all stages sum to 1.
        trains: The parts of the model that it trains. Others are frozen: they get no gradient and have no dropout.
    """

    share: float = 1.0
    trains: frozenset[Part] = EVERYTHING


class Progress(NamedTuple):
    """How far training has come.

    Attributes:
        step: Optimiser steps done.
        total_steps: Optimiser steps of the whole training.
        stage: The position of the current stage, from 0.
    """

    step: int
    total_steps: int
    stage: int = 0

    @property
    def share(self) -> float:
        """The share of training that is done, in [0, 1]."""
        return min(1.0, self.step / max(1, self.total_steps))


class Timeline:
    """Stages laid along the optimiser steps of a training; what holds at a step depends on the step alone.

    Raises:
        OptionError: Training is too short for a stage to have a single step.
    """

    def __init__(self, stages: Sequence[Stage], total_steps: int) -> None:
        self.stages, self.total_steps = stages, total_steps
        ends = [round(total_steps * share) for share in accumulate(stage.share for stage in stages)]
        self._starts = [0, *ends[:-1]]
        self._lengths = [end - start for start, end in zip(self._starts, ends, strict=True)]
        if total_steps > 0 and 0 in self._lengths:
            raise OptionError(
                f"stage {self._lengths.index(0) + 1} of {len(stages)} gets none of the {total_steps} optimiser steps",
                where="--trainer.max_epochs, --trainer.max_steps, --model.objective.init_args.first_stage",
                hint="train longer, or give that stage a larger share",
            )

    def at(self, step: int) -> Progress:
        """Return how far training has come before the optimiser step ``step``, counted from 0."""
        return Progress(step, self.total_steps, bisect_right(self._starts, step) - 1)

    def learning_rate_factor(self, step: int, warmup_fraction: float) -> float:
        """Rise from 0 to 1 over the first share, in [0, 1], of the step's stage, and fall to 0 until its end."""
        stage = self.at(step).stage
        done, length = step - self._starts[stage], self._lengths[stage]
        warmup = round(warmup_fraction * length)
        if done < warmup:
            return done / warmup
        return max(0.0, (length - done) / max(1, length - warmup))


def check_callbacks(trainer: Trainer) -> None:
    """Raise an OptionError if a callback changes the number of steps after the learning-rate schedule was made."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for kind, fix in _CHANGE_THE_STEPS.items():
            if isinstance(callback, kind):
                raise OptionError(
                    f"{kind.__name__} changes the number of optimiser steps after the learning-rate schedule and "
                    "config.yaml were made from it",
                    where="--trainer.callbacks",
                    hint=fix,
                )


def total_steps(trainer: Trainer) -> int:
    """Return the number of optimiser steps of a whole training; raise an OptionError where no end is known before."""
    estimated = trainer.estimated_stepping_batches
    if estimated < 0 or not isfinite(estimated):  # -1 for batches that can't be counted
        raise OptionError(
            "the learning rate decays until the end of training, and this training has none that is known",
            where="--trainer.max_epochs",
            hint="give --trainer.max_epochs or, where the batches can't be counted, --trainer.max_steps",
        )
    return int(estimated)


class StepMeans:
    """Means over the batches that an optimiser step accumulates, whose figures have the same names."""

    def __init__(self) -> None:
        self._step, self._count = -1, 0
        self._sums: dict[str, Tensor] = {}

    def add(self, step: int, figures: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the means over the batches of a step so far, this one of scalars without gradient included."""
        if step != self._step:
            self._step, self._sums, self._count = step, {}, 0
        self._sums = {name: self._sums.get(name, 0) + figure for name, figure in figures.items()}
        self._count += 1
        return {name: total / self._count for name, total in self._sums.items()}


@dataclass(frozen=True)
class Optimization:
    """Options of the optimiser.

    Attributes:
        learning_rate: Peak learning rate of the backbone.
        head_learning_rate: Peak learning rate of the internal classifiers; None takes that of the backbone, or for a
            sentence encoder whose pooling is not given ten times as much, so that shallow exits learn in a short
            fine-tune.
        weight_decay: Decoupled weight decay; biases and norms have none.
        warmup_fraction: Share of the steps of a stage over which the learning rate rises, in [0, 1]; it then falls to
            0 linearly. Most objectives have a single stage.
        freeze_backbone: Train the internal classifiers alone.
        gradient_checkpointing: Save memory by running every layer again in the backward pass.
    """

    learning_rate: float = 2e-5
    head_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    freeze_backbone: bool = False
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Raise an `OptionError` for values that make no sense."""
        usual = {"learning_rate": 2e-5, "head_learning_rate": 2e-4, "weight_decay": 0.01}
        for name, rate in usual.items():
            if (value := getattr(self, name)) is not None:
                require_within(value, "[0, inf)", f"model.optimization.{name}", f"{rate:g} is a usual value")
        hint = "it is a share of all steps: 0.1 is the usual value"
        require_within(self.warmup_fraction, "[0, 1]", "model.optimization.warmup_fraction", hint)

    def build(
        self, model: MultiExitModel, timeline: Timeline, *, with_backbone: bool = True, may_fuse: bool = True
    ) -> tuple[AdamW, LambdaLR]:
        """Make the optimiser of a model's parameters and the schedule along the stages of training."""
        head_rate = self.learning_rate if self.head_learning_rate is None else self.head_learning_rate
        parts: list[tuple[nn.Module, float]] = [(model.heads, head_rate)]
        if with_backbone and not self.freeze_backbone:
            parts.insert(0, (model.backbone, self.learning_rate))
        groups = [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for part, rate in parts
            for parameters, decay in zip(_by_decay(part), (self.weight_decay, 0.0), strict=True)
        ]
        is_on_cpu = next(model.parameters()).device.type == "cpu"  # where one pass is six times as fast as several
        optimizer = AdamW(groups, fused=is_on_cpu and may_fuse)  # on a GPU it would rule out clipping in float16
        return optimizer, _Schedule(optimizer, lambda step: timeline.learning_rate_factor(step, self.warmup_fraction))


class _Schedule(LambdaLR):
    """Keeps the rates of groups that a callback adds, such as `BackboneFinetuning`."""

    @override
    def get_lr(self) -> list[float | Tensor]:
        rates = super().get_lr()
        return [*rates, *(group["lr"] for group in self.optimizer.param_groups[len(rates) :])]


def _by_decay(part: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters into those that decay, and biases and norms, which don't.

    Recognised by name and module, not by shape: of a sharded parameter a process holds a flat piece, or nothing.
    """
    spared = {
        id(parameter)
        for module in part.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name.endswith("bias") or "Norm" in type(module).__name__
    }
    parameters = list(part.parameters())
    return [p for p in parameters if id(p) not in spared], [p for p in parameters if id(p) in spared]
