"""What a suite is: tasks, trainings, seeds, and the rows of a table, in one short file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ee_lightning.errors import OptionError

Split = Literal["validation", "test"]
"""Of which rows scores are reported."""


@dataclass(frozen=True)
class FitOptions:
    """Options of ``fit``.

    Attributes:
        configs: Configuration files, as ``--config`` takes them, later ones over earlier ones.
        options: Dotted options and their values, over all files.
    """

    configs: Sequence[Path] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: "FitOptions") -> "FitOptions":
        """Put the options of another over these."""
        return FitOptions((*self.configs, *other.configs), {**self.options, **other.options})


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        label: What the row is called, as in the published table if it is there.
        training: The name of the training whose runs it reads; rows may share one.
        criterion: By which samples leave, such as ``voting(k=1)``; None for the last exit of the model.
        speedup: At which speed-up by layers, at least; of the last exit: how many times fewer layers there are.
    """

    label: str
    training: str
    criterion: str | None = None
    speedup: float = 1.0


@dataclass(frozen=True)
class Suite:
    """A table to reproduce.

    Attributes:
        name: Of its file.
        title: What the table shows.
        fit: What every training gets.
        tasks: What the trainings on a task get besides, by the name of its column.
        trainings: What each training gets besides, by its name.
        seeds: Every training is run with each.
        rows: From top to bottom.
        split: Of which rows scores are reported.
        published: The name of the published table that this one stands beside; None if there is none.
        compare: The labels of two rows, of which the first is tested against the second; None for no test.
    """

    name: str
    title: str
    fit: FitOptions
    tasks: Mapping[str, FitOptions]
    trainings: Mapping[str, FitOptions]
    seeds: Sequence[int]
    rows: Sequence[Row]
    split: Split = "validation"
    published: str | None = None
    compare: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse rows that nothing is trained for, and what is not there."""
        for row in self.rows:
            if row.training not in self.trainings:
                raise OptionError(
                    f"the row {row.label!r} reads the training {row.training!r}, which the suite does not have",
                    where=f"suite {self.name}, rows",
                    mend=f"use one of {', '.join(self.trainings)}",
                )
        labels = [row.label for row in self.rows]
        for label in self.compare or ():
            if label not in labels:
                raise OptionError(
                    f"there is no row {label!r} to compare",
                    where=f"suite {self.name}, compare",
                    mend=f"use two of {', '.join(labels)}",
                )


@dataclass(frozen=True)
class Training:
    """One training of a suite: what a run folder is made by.

    Attributes:
        task: The name of its column.
        name: Of the training.
        seed: Of all that is random.
        fit: All options that ``fit`` gets, the seed's among them.
    """

    task: str
    name: str
    seed: int
    fit: FitOptions


def trainings(suite: Suite) -> list[Training]:
    """Give the trainings that the rows of a suite need, each once, task by task and seed by seed."""
    needed = list(dict.fromkeys(row.training for row in suite.rows))
    return [
        Training(
            task,
            name,
            seed,
            suite.fit + suite.tasks[task] + suite.trainings[name] + FitOptions(options={"seed_everything": seed}),
        )
        for task in suite.tasks
        for seed in suite.seeds
        for name in needed
    ]
