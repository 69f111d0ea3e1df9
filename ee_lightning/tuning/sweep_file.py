"""Sweeps as W&B writes them, which run here too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ee_lightning.errors import OptionError
from ee_lightning.files import read_yaml, reading, typed
from ee_lightning.packaged import find_config

_ARGUMENTS = "${args}"


@dataclass(frozen=True)
class Metric:
    """The figure of ``metrics.csv`` that counts, by default the less the better, as in W&B."""

    name: str
    goal: Literal["maximize", "minimize"] = "minimize"


@dataclass(frozen=True)
class Parameter:
    """What an option may be: one of some values, or a number between two.

    Attributes:
        values: The values.
        value: The only value.
        min: The least number.
        max: The greatest.
        distribution: How numbers are drawn: alike, or alike in their logarithm; None takes the first, whole for whole
            bounds.

    Raises:
        ValueError: It is none of these.
    """

    values: tuple[str | float | int | bool, ...] | None = None
    value: str | float | int | bool | None = None
    min: float | int | None = None
    max: float | int | None = None
    distribution: Literal["uniform", "log_uniform_values", "int_uniform", "categorical", "constant"] | None = None

    def __post_init__(self) -> None:
        is_range = self.min is not None and self.max is not None and self.min < self.max
        if (bool(self.values), self.value is not None, is_range).count(True) != 1:
            raise ValueError("give values, one value, or min and a greater max")
        if self.distribution == "log_uniform_values" and not (self.min or 0) > 0:
            raise ValueError("log_uniform_values needs min above 0")

    @property
    def choices(self) -> tuple[str | float | int | bool, ...] | None:
        """The values; None for numbers between two."""
        return self.values if self.value is None else (self.value,)


@dataclass(frozen=True)
class EarlyTerminate:
    """Hyperband: how many values of the metric a run logs at least, and which share of the runs goes on (1 / eta)."""

    type: Literal["hyperband"]
    min_iter: int = 1
    eta: int = 3


@dataclass(frozen=True)
class SweepFile:
    """A sweep.

    Attributes:
        method: How values are chosen.
        metric: What counts.
        parameters: The options that vary, by their dotted names.
        command: The command line of a run.
        early_terminate: When to stop runs that lag behind.
        program: The program's name, or the path of one.
        project: Of W&B, which is not used.
        name: Of the sweep.
    """

    method: Literal["grid", "random", "bayes"]
    metric: Metric
    parameters: dict[str, Parameter]
    command: tuple[str, ...]
    early_terminate: EarlyTerminate | None = None
    program: str = "ee-lightning"
    project: str | None = None
    name: str | None = field(default=None)

    @classmethod
    def read(cls, file: Path) -> "SweepFile":
        """Read a sweep.

        Raises:
            RunFolderError: It can't be read, or a field of it makes no sense.
            OptionError: It runs another command than ``fit``, or a grid has no values.
        """
        with reading(file, hint="write it like those in sweeps/"):
            sweep = typed(cls, read_yaml(file))
        if "fit" not in sweep.command:
            hint = "trainings can be swept here; for other commands use a W&B agent, or a loop in the shell"
            raise OptionError(f"the command is {' '.join(sweep.command):.60}", where=file, hint=hint)
        ranges = [name for name, each in sweep.parameters.items() if each.choices is None]
        if sweep.method == "grid" and ranges:
            hint = "list its values, or take method: bayes"
            raise OptionError(f"a grid needs values, and {ranges[0]} has none", where=file, hint=hint)
        return sweep

    def arguments(self, values: Mapping[str, Any]) -> list[str]:
        """Return the arguments of a run, the command's name first, with values for the options that vary."""
        given = [f"--{name}={_written(value)}" for name, value in values.items()]
        kept = _without_service(self.command[self.command.index("fit") :])
        place = kept.index(_ARGUMENTS) if _ARGUMENTS in kept else len(kept)
        return [*kept[:place], *given, *kept[place + 1 :]]


def _without_service(command: Sequence[str]) -> list[str]:
    kept = list[str]()
    for argument in command:
        if kept and kept[-1] in {"-c", "--config"} and _is_of_service(argument):
            kept.pop()
        elif not (argument.startswith("--config=") and _is_of_service(argument.removeprefix("--config="))):
            kept.append(argument)
    return kept


def _is_of_service(config: str) -> bool:
    """Whether a configuration is the one that logs to W&B, which a sweep on this machine leaves out."""
    return Path(find_config(config)).parts[-2:] == ("trainer", "wandb.yaml")


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
