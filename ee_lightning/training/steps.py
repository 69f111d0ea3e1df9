"""Optimiser steps: how many a training has, and what is logged of each."""

from collections.abc import Mapping
from math import isfinite

from lightning import Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, GradientAccumulationScheduler
from torch import Tensor

from ee_lightning.errors import OptionError

_CHANGE_THE_STEPS = {
    BatchSizeFinder: "look for the largest --data.batch_size that fits in memory with short runs "
    "(--trainer.max_steps 3), and leave the callback out",
    GradientAccumulationScheduler: "use the same accumulation in all epochs, such as "
    "--trainer.accumulate_grad_batches 4, and leave the callback out",
}


def check_callbacks(trainer: Trainer) -> None:
    """Raise an error if a callback changes the number of steps after the learning-rate schedule was made.

    Args:
        trainer: The trainer, before training.

    Raises:
        OptionError: There is such a callback.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for kind, fix in _CHANGE_THE_STEPS.items():
            if isinstance(callback, kind):
                raise OptionError(
                    f"{kind.__name__} changes the number of optimiser steps after the learning-rate schedule and "
                    "config.yaml were made from it",
                    where="--trainer.callbacks",
                    mend=fix,
                )


def total_steps(trainer: Trainer) -> int:
    """Return the number of optimiser steps of a whole training.

    Args:
        trainer: The trainer, whose data is set up.

    Raises:
        OptionError: The training has no end, or none that is known before.
    """
    estimated = trainer.estimated_stepping_batches
    if estimated < 0 or not isfinite(estimated):  # -1 for batches that can't be counted
        raise OptionError(
            "the learning rate decays until the end of training, and this training has none that is known",
            where="--trainer.max_epochs",
            mend="give --trainer.max_epochs or, where the batches can't be counted, --trainer.max_steps",
        )
    return int(estimated)


class StepMeans:
    """Means over the batches that an optimiser step accumulates."""

    def __init__(self) -> None:
        self._step = -1
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, step: int, figures: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the means over the batches of a step so far, with those of one more batch.

        Args:
            step: The optimiser steps done before.
            figures: Scalars without gradient, of the same names in all batches of a step.
        """
        if step != self._step:
            self._step, self._sums, self._count = step, {}, 0
        self._sums = {name: self._sums.get(name, 0) + figure for name, figure in figures.items()}
        self._count += 1
        return {name: total / self._count for name, total in self._sums.items()}
