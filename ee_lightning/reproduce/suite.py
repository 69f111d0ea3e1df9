"""What a suite is, how its file is read, and parts of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ee_lightning.errors import OptionError, did_you_mean, require_one_of
from ee_lightning.exits.naming import spec_of
from ee_lightning.files import read_yaml, typed
from ee_lightning.packaged import configs_folder
from ee_lightning.reproduce.published import published_table

Split = Literal["validation", "test"]
"""Of which rows scores are reported."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
_Name = Annotated[str, Field(min_length=1, max_length=100)]
_AS_MAPPINGS = ("data.own",)
"""Options whose values may be mappings, beside those of a class."""


def _readable(criterion: str) -> str:
    spec_of(criterion)  # which refuses what can't be read now, not after the trainings
    return criterion


def _known(published: str) -> str:
    published_table(published)  # which refuses an unknown name now, not after the trainings
    return published


_GIVEN = {
    "seed_everything": "name the seeds: `seeds: [1, 2]` in the suite, --seeds 1 to run some of them",
    "run.name": "leave it out: a run is found again by the name of its task, its training and its seed",
    "run.root": "name the folder of all runs: --root DIR",
    "ckpt_path": "leave it out: the same command goes on with every run that was interrupted",
}
"""The options of ``fit`` that a suite gives to every training itself, and what to do in their place."""


@dataclass(frozen=True)
class FitOptions:
    """Options of ``fit``: configuration files, later ones over earlier ones, and over all of them dotted options.

    Raises:
        ValueError: An option is a group of options.
    """

    configs: tuple[Path, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options."""
        for name, value in self.options.items():
            if isinstance(value, Mapping) and "class_path" not in value and name not in _AS_MAPPINGS:
                raise ValueError(f"the option {name} is a mapping; write its parts with dots, as data.root: DIR")

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


_Fits = Annotated[dict[_Name, FitOptions], Field(min_length=1)]


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

    Raises:
        ValueError: Something is named that is not there, or twice.
    """

    name: str
    title: Annotated[str, Field(min_length=1)]
    fit: FitOptions
    tasks: _Fits
    trainings: _Fits
    seeds: Annotated[list[Seed], Field(min_length=1)]
    rows: Annotated[list[Row], Field(min_length=1)]
    split: Split = "validation"
    published: Annotated[str, AfterValidator(_known)] | None = None
    compare: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        """Check that all that is named is there, once."""
        rows = [(row.label, row.speedup) for row in self.rows]
        labels = [label for label, _ in rows]
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"the seeds are {self.seeds}; list different whole numbers, such as 1, 2")
        for name in (*self.tasks, *self.trainings):
            if "," in name:  # by which --tasks and --trainings part them
                raise ValueError(f"the name {name!r} holds a comma; leave it out")
        for row in self.rows:
            if row.training not in self.trainings:
                known = ", ".join(self.trainings)
                raise ValueError(f"the row {row.label!r} reads the training {row.training!r}; use one of {known}")
            if rows.count((row.label, row.speedup)) > 1:
                raise ValueError(f"two rows are called {row.label!r} at the same speed-up; give each another label")
        for label in self.compare or ():
            if labels.count(label) != 1:
                number = "no row" if label not in labels else "more than one row"
                raise ValueError(f"there is {number} {label!r} to compare; use two of {', '.join(labels)}")
        if self.compare is not None and self.compare[0] == self.compare[1]:
            raise ValueError(f"the row {self.compare[0]!r} is compared with itself; name two rows")


@dataclass(frozen=True)
class Training:
    """One training of a suite, which makes a run folder: ``fit`` has all its options, the seed among them."""

    task: str
    name: str
    seed: int
    fit: FitOptions

    @property
    def key(self) -> tuple[str, str, str]:
        """Task, name and seed, in words."""
        return self.task, self.name, str(self.seed)


def trainings(suite: Suite) -> list[Training]:
    """Return the trainings that the rows of a suite need, each once, task by task and seed by seed."""
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


@dataclass(frozen=True)
class Selection:
    """Which trainings of a suite are meant: those on some tasks, of some names, by some seeds; None stands for all."""

    tasks: Sequence[str] | None = None
    trainings: Sequence[str] | None = None
    seeds: Sequence[int] | None = None

    def check(self, suite: Suite) -> None:
        """Raise an `OptionError` for a task or a seed that the suite does not have, or a training that no row needs."""
        for option, asked, known in (
            ("--tasks", self.tasks, suite.tasks),
            ("--trainings", self.trainings, dict.fromkeys(row.training for row in suite.rows)),
            ("--seeds", self.seeds, suite.seeds),
        ):
            for value in asked or ():
                require_one_of(str(value), [str(each) for each in known], option)

    def __contains__(self, training: Training) -> bool:
        """Whether a training is meant."""
        return (
            (self.tasks is None or training.task in self.tasks)
            and (self.trainings is None or training.name in self.trainings)
            and (self.seeds is None or training.seed in self.seeds)
        )


def fit_arguments(fit: FitOptions) -> list[str]:
    """Write options as the command line takes them.

    Example:
        >>> fit_arguments(FitOptions((Path("a.yaml"),), {"trainer.max_epochs": 2, "data.root": None}))
        ['--config=a.yaml', '--trainer.max_epochs=2', '--data.root=null']
    """
    written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fit.options.items()}
    return [*(f"--config={config}" for config in fit.configs), *(f"--{name}={v}" for name, v in written.items())]


def read_fit_arguments(arguments: Sequence[str]) -> FitOptions:
    """Read options as the command line takes them, ``--name value`` or ``--name=value``; else an `OptionError`.

    Example:
        >>> read_fit_arguments(["--data.root", "glue", "--trainer.max_epochs=2"]).options
        {'data.root': 'glue', 'trainer.max_epochs': '2'}
    """
    configs, options, left = list[Path](), dict[str, Any](), list(arguments)
    while left:
        name, is_joined, value = left.pop(0).partition("=")
        if not name.startswith("--") or not (is_joined or left):
            raise OptionError(
                f"{name!r} is no option with a value",
                where="the command line",
                hint="'ee-lightning reproduce --help' lists the options; others are those of fit, as --data.root DIR",
            )
        value = value if is_joined else left.pop(0)
        if name == "--config":
            configs.append(Path(value))
        else:
            options[name.removeprefix("--")] = value
    _refuse_given(options, "the command line")
    return FitOptions(tuple(configs), options)


def _refuse_given(options: Mapping[str, Any], where: str) -> None:
    """Raise an `OptionError` for an option that a suite gives itself."""
    for name in _GIVEN.keys() & options.keys():
        what = f"the option {name} is given by the suite, to each training its own"
        raise OptionError(what, where=where, hint=_GIVEN[name])


def load_suite(name: str | Path) -> Suite:
    """Read a shipped suite, such as ``smoke``, or a YAML file, to which paths in it are relative.

    Raises:
        OptionError: There is no such suite, or its file holds what makes no sense.
    """
    file = _find(str(name))
    try:
        content = read_yaml(file)
        of_all = {key: content.pop(key) for key in ("configs", "options") if key in content}
        for name in ("tasks", "trainings"):
            if isinstance(content.get(name), dict):
                content[name] = {key: {} if fit is None else fit for key, fit in content[name].items()}
        suite = typed(Suite, {**content, "name": file.stem, "fit": of_all})
    except (OSError, ValueError) as error:
        what = error.what if isinstance(error, OptionError) else f"the suite can't be read: {error}"
        at = f": {error.where}" if isinstance(error, OptionError) and error.where else ""
        keys = {each.name for kind in (FitOptions, Suite, Row) for each in fields(kind)}
        hint = did_you_mean(at.rpartition(".")[2].strip(": "), keys) if what.endswith("is not known") else ""
        raise OptionError(what, where=f"{file}{at}", hint=f"{hint}see a shipped suite, such as smoke") from error
    of_test = FitOptions(options={"run.test": True} if suite.split == "test" else {})
    return replace(
        suite,
        fit=_located(suite.fit, file) + of_test,
        tasks={name: _located(fit, file, f"tasks, {name}") for name, fit in suite.tasks.items()},
        trainings={name: _located(fit, file, f"trainings, {name}") for name, fit in suite.trainings.items()},
    )


def _located(fit: FitOptions, file: Path, *part: str) -> FitOptions:
    """Return the options of a part of a suite, with its files, relative to the suite's, named by their whole paths."""
    _refuse_given(fit.options, f"{file}: {', '.join([*part, 'options'])}")
    configs = [file.parent / config for config in fit.configs]
    if missing := [config for config in configs if not config.is_file()]:
        raise OptionError(
            f"there is no file {missing[0]}",
            where=f"{file}: {', '.join([*part, 'configs'])}",
            hint=f"paths are relative to {file.parent}",
        )
    return FitOptions(tuple(config.resolve() for config in configs), fit.options)


def _find(name: str) -> Path:
    suites = configs_folder() / "reproduce"
    file = Path(name) if name.endswith((".yaml", ".yml")) else suites / f"{name}.yaml"
    if file.is_file():
        return file.resolve()
    shipped = sorted(file.stem for file in suites.glob("*.yaml"))
    hint = f"{did_you_mean(name, shipped)}use one of {', '.join(shipped)}, or the path of a YAML file"
    raise OptionError(f"there is no suite {name!r}", where=file, hint=hint)
