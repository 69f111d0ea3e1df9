"""What a suite is: tasks, trainings, seeds, and the rows of a table, in one short file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ee_lightning.errors import OptionError
from ee_lightning.operating import recipe_of

Split = Literal["validation", "test"]
"""Of which rows scores are reported."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _readable(criterion: str) -> str:
    recipe_of(criterion)  # which refuses what can't be read now, not after the trainings
    return criterion


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
        criterion: By which samples leave, such as ``voting(k=0.5)``; None for the last exit of the model.
        speedup: At which speed-up by layers, at least; of the last exit: how many times fewer layers there are.
    """

    label: str
    training: str
    criterion: Annotated[str, AfterValidator(_readable)] | None = None
    speedup: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 1.0


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
        """Check that all that is named is there, once."""
        rows = [(row.label, row.speedup) for row in self.rows]
        if len(set(self.seeds)) < len(self.seeds):
            raise self._mistake(
                f"the seeds are {list(self.seeds)}", "seeds", "list different whole numbers, such as 1, 2"
            )
        for row in self.rows:
            if row.training not in self.trainings:
                raise self._mistake(
                    f"the row {row.label!r} reads the training {row.training!r}, which the suite does not have",
                    "rows",
                    f"use one of {', '.join(self.trainings)}",
                )
            if rows.count((row.label, row.speedup)) > 1:
                raise self._mistake(
                    f"two rows are called {row.label!r} at the same speed-up", "rows", "give each row another label"
                )
        labels = [label for label, _ in rows]
        for label in self.compare or ():
            if labels.count(label) != 1:
                number = "no row" if label not in labels else "more than one row"
                raise self._mistake(
                    f"there is {number} {label!r} to compare", "compare", f"use two of {', '.join(labels)}"
                )
        if self.compare is not None and self.compare[0] == self.compare[1]:
            raise self._mistake(f"the row {self.compare[0]!r} is compared with itself", "compare", "name two rows")

    def _mistake(self, what: str, where: str, mend: str) -> OptionError:
        return OptionError(what, where=f"suite {self.name}, {where}", mend=mend)


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
