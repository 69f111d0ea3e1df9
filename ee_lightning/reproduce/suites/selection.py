"""A part of a suite's trainings."""

from collections.abc import Sequence
from dataclasses import dataclass

from ee_lightning.errors import require_one_of
from ee_lightning.reproduce.suites.suite import Suite, Training


@dataclass(frozen=True)
class Selection:
    """Which trainings of a suite are meant.

    Attributes:
        tasks: Those on these tasks; None for all.
        trainings: Those of these names; None for all.
        seeds: Those by these seeds; None for all.
    """

    tasks: Sequence[str] | None = None
    trainings: Sequence[str] | None = None
    seeds: Sequence[int] | None = None

    def check(self, suite: Suite) -> None:
        """Refuse what the suite does not have.

        Raises:
            OptionError: It lacks a task, a training or a seed.
        """
        for task in self.tasks or ():
            require_one_of(task, suite.tasks, "--tasks")
        for name in self.trainings or ():
            require_one_of(name, suite.trainings, "--trainings")
        for seed in self.seeds or ():
            require_one_of(str(seed), [str(seed) for seed in suite.seeds], "--seeds")

    def __contains__(self, training: Training) -> bool:
        """Whether a training is meant."""
        return (
            (self.tasks is None or training.task in self.tasks)
            and (self.trainings is None or training.name in self.trainings)
            and (self.seeds is None or training.seed in self.seeds)
        )
