"""Reads suites: short YAML files, shipped with the package or of the user's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

import ee_lightning
from ee_lightning.errors import OptionError
from ee_lightning.files import read_yaml
from ee_lightning.reproduce.published import published_table
from ee_lightning.reproduce.suites.suite import FitOptions, Row, Seed, Split, Suite
from ee_lightning.typed import typed

_Name = Annotated[str, Field(min_length=1, max_length=100)]
_AS_MAPPINGS = ("data.own",)
"""Options whose values may be mappings, beside those of a class."""


@dataclass(frozen=True, kw_only=True)
class _Fit:
    configs: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse groups of options."""
        for name, value in self.options.items():
            if isinstance(value, Mapping) and "class_path" not in value and name not in _AS_MAPPINGS:
                raise ValueError(f"the option {name} is a mapping; write its parts with dots, as data.root: DIR")


@dataclass(frozen=True, kw_only=True)
class _Content(_Fit):
    """What the file of a suite holds."""

    title: Annotated[str, Field(min_length=1)]
    tasks: Annotated[dict[_Name, _Fit | None], Field(min_length=1)]
    trainings: Annotated[dict[_Name, _Fit | None], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    rows: Annotated[list[Row], Field(min_length=1)]
    split: Split = "validation"
    published: str | None = None
    compare: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None


_KEYS = {each.name for kind in (_Content, Row) for each in fields(kind)}


def configs_folder() -> Path:
    """Give the folder of the shipped configurations: inside an installed package, beside it in a checkout."""
    package = Path(ee_lightning.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def load_suite(name: str | Path) -> Suite:
    """Read a suite.

    Args:
        name: Of a shipped suite, such as ``smoke``, or the path of a YAML file. Paths in it are relative to the file.

    Raises:
        OptionError: There is no such suite, or its file holds what makes no sense.
    """
    file = _find(str(name))
    try:
        content = typed(_Content, read_yaml(file))
    except (OSError, ValueError) as error:
        what = error.what if isinstance(error, OptionError) else f"the suite can't be read: {error}"
        at = f": {error.where}" if isinstance(error, OptionError) and error.where else ""
        closest = get_close_matches(at.rpartition(".")[2].strip(": "), _KEYS, n=1)
        mend = f"did you mean {closest[0]}? " if what.endswith("is not known") and closest else ""
        raise OptionError(what, where=f"{file}{at}", mend=f"{mend}see a shipped suite, such as smoke") from error
    if content.published is not None:
        published_table(content.published)  # which refuses an unknown name now, not after the trainings
    fit = _fit_options(content, file, "configs")
    return Suite(
        name=file.stem,
        title=content.title,
        fit=fit + FitOptions(options={"run.test": True}) if content.split == "test" else fit,
        tasks={name: _fit_options(fit, file, f"tasks, {name}, configs") for name, fit in content.tasks.items()},
        trainings={
            name: _fit_options(fit, file, f"trainings, {name}, configs") for name, fit in content.trainings.items()
        },
        seeds=content.seeds,
        rows=content.rows,
        split=content.split,
        published=content.published,
        compare=None if content.compare is None else (content.compare[0], content.compare[1]),
    )


def _fit_options(fit: _Fit | None, file: Path, where: str) -> FitOptions:
    if fit is None:
        return FitOptions()
    configs = [file.parent / config for config in fit.configs]
    if missing := [config for config in configs if not config.is_file()]:
        raise OptionError(
            f"there is no file {missing[0]}",
            where=f"{file}: {where}",
            mend=f"paths are relative to {file.parent}",
        )
    return FitOptions(tuple(config.resolve() for config in configs), fit.options)


def _find(name: str) -> Path:
    suites = configs_folder() / "reproduce"
    file = Path(name) if name.endswith((".yaml", ".yml")) else suites / f"{name}.yaml"
    if file.is_file():
        return file.resolve()
    shipped = sorted(file.stem for file in suites.glob("*.yaml"))
    raise OptionError(
        f"there is no suite {name!r}", where=file, mend=f"use one of {', '.join(shipped)}, or the path of a YAML file"
    )
