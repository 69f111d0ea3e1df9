"""Reads suites: short YAML files, shipped with the package or of the user's own."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml

import ee_lightning
from ee_lightning.errors import OptionError
from ee_lightning.operating import recipe_of
from ee_lightning.reproduce.published import published_table
from ee_lightning.reproduce.suites.suite import FitOptions, Row, Split, Suite

_FIT = {field.name for field in fields(FitOptions)}
_ROW = {field.name for field in fields(Row)}
_NEEDED_OF_ROW = {field.name for field in fields(Row) if field.default is MISSING}
_SUITE = {field.name for field in fields(Suite)} - {"name", "fit"} | _FIT
_NEEDED_OF_SUITE = {"title", "tasks", "trainings", "seeds", "rows"}


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
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError(f"the suite can't be read: {error}", where=file, mend="mend the file") from error
    return _SuiteFile(file).suite(content)


def _find(name: str) -> Path:
    suites = configs_folder() / "reproduce"
    file = Path(name) if name.endswith((".yaml", ".yml")) else suites / f"{name}.yaml"
    if file.is_file():
        return file.resolve()
    shipped = sorted(file.stem for file in suites.glob("*.yaml"))
    raise OptionError(
        f"there is no suite {name!r}", where=file, mend=f"use one of {', '.join(shipped)}, or the path of a YAML file"
    )


class _SuiteFile:
    """Turns what a file holds into a suite, and blames the file for what is wrong."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def suite(self, content: Any) -> Suite:
        """Read the whole file."""
        self._check_keys(content, "the suite", _SUITE, _NEEDED_OF_SUITE)
        split = content.get("split", "validation")
        if split not in get_args(Split):
            raise self._mistake(f"the split is {split!r}", "split", f"use one of {', '.join(get_args(Split))}")
        if (published := content.get("published")) is not None:
            published_table(published)  # which refuses an unknown name now, not after the trainings
        fit = self._fit({key: value for key, value in content.items() if key in _FIT}, "the suite")
        return Suite(
            name=self.file.stem,
            title=str(content["title"]),
            fit=fit + FitOptions(options={"run.test": True}) if split == "test" else fit,
            tasks=self._all_fits(content, "tasks"),
            trainings=self._all_fits(content, "trainings"),
            seeds=self._seeds(content["seeds"]),
            rows=[self._row(row) for row in self._filled(content, "rows", list)],
            split=split,
            published=published,
            compare=self._compare(content.get("compare")),
        )

    def _all_fits(self, content: Mapping[str, Any], key: str) -> dict[str, FitOptions]:
        return {
            str(name): self._fit(fit or {}, f"{key}, {name}") for name, fit in self._filled(content, key, dict).items()
        }

    def _fit(self, content: Any, where: str) -> FitOptions:
        self._check_keys(content, where, _FIT)
        configs, options = content.get("configs") or [], content.get("options") or {}
        if not isinstance(configs, list) or not isinstance(options, dict):
            raise self._mistake("configs are a list of files, options a mapping", where, "see a shipped suite")
        files = [self.file.parent / str(config) for config in configs]
        if missing := [file for file in files if not file.is_file()]:
            mend = f"paths are relative to {self.file.parent}"
            raise self._mistake(f"there is no file {missing[0]}", f"{where}, configs", mend)
        return FitOptions(tuple(file.resolve() for file in files), options)

    def _row(self, content: Any) -> Row:
        self._check_keys(content, "rows", _ROW, _NEEDED_OF_ROW)
        where = f"rows, {content['label']}"
        criterion, speedup = content.get("criterion"), content.get("speedup", 1.0)
        if criterion is not None:
            recipe_of(str(criterion))  # which refuses what can't be read now, not after the trainings
        if not isinstance(speedup, int | float) or speedup < 1:
            raise self._mistake(f"the speed-up is {speedup!r}", where, "give 1 or more")
        return Row(str(content["label"]), str(content["training"]), criterion, float(speedup))

    def _seeds(self, seeds: Any) -> list[int]:
        whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
        if not whole or not seeds or len(set(seeds)) < len(seeds):
            raise self._mistake(f"the seeds are {seeds!r}", "seeds", "list different whole numbers, such as [1, 2, 3]")
        return list(seeds)

    def _compare(self, labels: Any) -> tuple[str, str] | None:
        if labels is None:
            return None
        if not isinstance(labels, list) or len(labels) != 2:
            raise self._mistake(f"{labels!r} are not two rows", "compare", "list the labels of two rows")
        return str(labels[0]), str(labels[1])

    def _filled(self, content: Mapping[str, Any], key: str, kind: type) -> Any:
        if not isinstance(content[key], kind) or not content[key]:
            what = "a list" if kind is list else "a mapping from names"
            raise self._mistake(f"{key} is not {what}, or empty", key, "see a shipped suite")
        return content[key]

    def _check_keys(self, content: Any, where: str, known: Collection[str], needed: Collection[str] = ()) -> None:
        if not isinstance(content, dict):
            raise self._mistake(f"{where} is no mapping from names", where, f"it may have {', '.join(sorted(known))}")
        for key in content:
            if key not in known:
                closest = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {closest[0]}? " if closest else ""
                raise self._mistake(f"unknown key {key!r}", where, f"{hint}known keys: {', '.join(sorted(known))}")
        if lacking := sorted(set(needed) - content.keys()):
            raise self._mistake(f"{where} has no {lacking[0]}", where, f"it needs {', '.join(sorted(needed))}")

    def _mistake(self, what: str, where: str, mend: str) -> OptionError:
        return OptionError(what, where=f"{self.file}: {where}", mend=mend)
