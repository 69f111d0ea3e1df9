"""The stages of a training and where in them a step lies."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from ee_lightning.errors import OptionError
from ee_lightning.models import Part

EVERYTHING: frozenset[Part] = frozenset({"backbone", "last_exit", "early_exits"})


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

    Args:
        stages: The stages in order.
        total_steps: Optimiser steps of the whole training.

    Raises:
        OptionError: Training is too short for a stage to have a single step.
    """

    def __init__(self, stages: Sequence[Stage], total_steps: int) -> None:
        self.stages = stages
        self.total_steps = total_steps
        ends = [round(total_steps * share) for share in accumulate(stage.share for stage in stages)]
        self._starts = [0, *ends[:-1]]
        self._lengths = [end - start for start, end in zip(self._starts, ends, strict=True)]
        if total_steps > 0 and 0 in self._lengths:
            raise OptionError(
                f"stage {self._lengths.index(0) + 1} of {len(stages)} gets none of the {total_steps} optimiser steps",
                where="--trainer.max_epochs, --trainer.max_steps, --model.objective.init_args.first_stage",
                mend="train longer, or give that stage a larger share",
            )

    def at(self, step: int) -> Progress:
        """Tell how far training has come before the optimiser step ``step``, counted from 0."""
        return Progress(step, self.total_steps, bisect_right(self._starts, step) - 1)

    def learning_rate_factor(self, step: int, warmup_fraction: float) -> float:
        """Rise from 0 to 1 over the first share of the current stage, and fall to 0 until its end.

        Args:
            step: The optimiser step, from 0.
            warmup_fraction: The share of the stage's steps over which the factor rises, in [0, 1].
        """
        stage = self.at(step).stage
        done, length = step - self._starts[stage], self._lengths[stage]
        warmup = round(warmup_fraction * length)
        if done < warmup:
            return done / warmup
        return max(0.0, (length - done) / max(1, length - warmup))
