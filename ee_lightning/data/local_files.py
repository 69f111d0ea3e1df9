"""The files of a task on the disk: where its splits lie, and which Parquet shards belong to a split."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from datasets import Dataset
from typing_extensions import override

from ee_lightning.data.arrow_files import STATE, Table, blaming, read_parquet, read_saved
from ee_lightning.data.label_sets import Writing
from ee_lightning.data.read import Source, read_text_file, rows_of
from ee_lightning.data.row_files import PARQUET, TableFile, choose_columns, open_row_file
from ee_lightning.data.tasks import Task
from ee_lightning.errors import DataError, listed
from ee_lightning.files import with_home

SPLIT_LIST = "dataset_dict.json"
"""The file in which `save_to_disk` lists the splits of several data sets, each in a folder called like it."""
SHARD = re.compile(r"-(?P<number>\d+)-of-(?P<count>\d+)\b")
"""What follows the split in the name of a Parquet shard; a fingerprint may come after it."""
STEMS = {"train": ("train",), "validation": ("validation", "dev", "val", "valid"), "test": ("test",)}
INFO = "dataset_info.json"
ENDINGS = (".tsv", ".csv", ".jsonl", ".parquet")


def shards_of(folder: Path, stem: str) -> list[Path]:
    """Return the Parquet shards of a split in order, `train-00000-of-00002.parquet` first; none where there are none.

    Raises:
        DataError: A shard is missing, or there are those of two data sets.
    """
    named = [(path, SHARD.match(path.name.removeprefix(stem))) for path in sorted(folder.glob(f"{stem}-*.parquet"))]
    shards = [(path, int(match["number"]), int(match["count"])) for path, match in named if match]
    numbers, counts = {number for _, number, _ in shards}, {count for _, _, count in shards}
    if len(counts) > 1 or len(numbers) < len(shards):
        what = f"shards of several data sets lie together: {listed([path.name for path, *_ in shards])}"
        raise DataError(what, where=folder, hint="leave those of one data set in the folder")
    if len(shards) < (count := max(counts, default=0)):
        missing = [f"{stem}-{number:05}-of-{count:05}.parquet" for number in range(count) if number not in numbers]
        raise DataError(f"shards are missing: {listed(missing)}", where=folder, hint="put them beside the others")
    return [path for path, *_ in shards]


class LocalSource(Source):
    """The files of a task below a local folder, or one file.

    A split is a file called `train`, `validation` (or `dev`, `val`, `valid`) or `test`, ending in `.tsv`, `.csv`,
    `.jsonl` or `.parquet`; or Parquet shards, as `train-00000-of-00002.parquet`; or a folder of `datasets`. GLUE's own
    files, and those that a custom task names, come first. A test file without the label column is unlabelled.

    Args:
        root: The folder of the task, or one that holds a folder called like it; or what holds the training rows, a file
            or a folder that `Dataset.save_to_disk` wrote. ``~`` is the home folder.
        task: The task to read.
    """

    def __init__(self, root: Path, task: Task) -> None:
        self.root, self.task = with_home(root), task
        self.where, self._writing = str(self.root), Writing(task)

    @override
    def has(self, split: str) -> bool:
        return bool(self._places(split))

    @override
    def load(self, split: str) -> Dataset:
        table = self.table(split)
        rows = rows_of(table, self.task, split)
        self._writing.check(table, split)
        return rows

    @override
    def files(self, split: str) -> list[str]:
        root = self.root if self.root.is_dir() and not self._is_one else self.root.parent
        places = self._places(split)
        return [str(place.relative_to(root) if place.is_relative_to(root) else place) for place in places]

    def table(self, split: str) -> Table:
        """Return the rows of a split as they are in their files."""
        if not (places := self._places(split)):
            raise self._missing(split)
        choose, first = choose_columns(self.task, split), places[0]
        if first.is_dir():
            return read_saved(first, choose)
        ending, glue = first.suffix.lower(), self.task.glue
        if ending == PARQUET:
            return read_parquet(places, choose)
        if ending == ".tsv" and glue is not None:
            file = TableFile(first, () if split == "test" else glue.headerless)
            return read_text_file(file, choose, skips_ragged=glue.skips_ragged)
        return read_text_file(open_row_file(first), choose)

    def _places(self, split: str) -> list[Path]:
        """Return the one file or folder of a split, or its shards; none where it is not there."""
        try:
            found = self._found(split)
            self._refuse_used_twice(split, found)
            return found
        except OSError as error:
            hint = "correct --data.root" if self.task.hub_path is None else self._hint
            raise DataError(f"the data can't be read: {error.strerror}", where=self.root, hint=hint) from error

    def _missing(self, split: str) -> DataError:
        where, there = self.root, ""
        if not (self.task.files or self._is_one):
            where = self._folder / (self.task.glue.files[split] if self.task.glue else f"{split}.csv")
            there = f"; the folder holds {_listing(self._folder)}"
        if self.task.hub_path is not None:
            hint = self._hint
        elif split == "train":
            hint = f"call it train, ending in {', '.join(ENDINGS)}, or name it with --data.own.files '{{train: FILE}}'"
        else:
            hint = f"name it with --data.own.files '{{train: FILE, {split}: FILE}}', "
            hint += f"or hold a share of the training rows out with --data.own.{split}_share"
        return DataError(f"no {split} file of task {self.task.name}{there}", where=where, hint=hint)

    def _found(self, split: str) -> list[Path]:
        if self.task.files:
            named = [self.root / with_home(self.task.files[split])] if split in self.task.files else []
            if missing := [place for place in named if not place.exists()]:
                raise DataError(f"there is no such {split} file", where=missing[0], hint="correct --data.own.files")
            return named
        if self._is_one:
            return [self.root] if split == "train" else []
        if self.task.glue is not None and (official := self._folder / self.task.glue.files[split]).is_file():
            return [official]
        found = [places for stem in self._stems[split] for places in self._called(stem)]
        if len(found) > 1:
            names = ", ".join(places[0].name for places in found)
            what = f"several files could be the {split} split: {names}"
            raise DataError(what, where=self._folder, hint="leave one of them in the folder")
        if not found:
            self._refuse_lost(split)
        return found[0] if found else []

    def _refuse_lost(self, split: str) -> None:
        """Raise an error for a split that a saved data set lists, or of which it left a folder, without its rows."""
        file, listed_here = self._folder / SPLIT_LIST, []
        if file.is_file():
            with blaming(file):
                listed_here = json.loads(file.read_text(encoding="utf-8"))["splits"]
                if not (isinstance(listed_here, list) and all(isinstance(name, str) for name in listed_here)):
                    raise ValueError("it lists no splits")
        for place in (self._folder / stem for stem in self._stems[split]):
            if place.name in listed_here or (place / INFO).is_file():
                raise DataError(
                    f"the {split} split of the saved data set is gone",
                    where=place / STATE,
                    hint=f"save the data set again, or remove the folder {place.name} and its name in {SPLIT_LIST}",
                )

    def _refuse_used_twice(self, split: str, found: list[Path]) -> None:
        """Raise an error for a split of which a file is also another split's, under this name or another."""
        for other in (name for name in STEMS if name != split):
            others: list[Path] = []
            with suppress(DataError):  # which is raised where the other split is read
                others = self._found(other)
            for place in found:
                if any(place.samefile(same) for same in others):
                    names = " and ".join(sorted((split, other), key=[*STEMS].index))
                    option = "correct --data.own.files: " if self.task.files else ""
                    raise DataError(
                        f"the {names} splits are the same file",
                        where=place,
                        hint=f"{option}give each split a file of its own, or name one for train alone, of which "
                        "the others are held out",
                    )

    def _called(self, stem: str) -> Iterator[list[Path]]:
        """Return each file or folder that is called like this, and the shards."""
        for place in (self._folder / stem, *(self._folder / f"{stem}{ending}" for ending in ENDINGS)):
            if (place / STATE).is_file() or place.is_file():
                yield [place]
        if shards := shards_of(self._folder, stem):
            yield shards

    @property
    def _is_one(self) -> bool:
        """Whether the root is one file or data set, of which all rows are training rows."""
        return self.root.is_file() or (self.root / STATE).is_file()

    @property
    def _stems(self) -> dict[str, tuple[str, ...]]:
        """What the files of each split are called, on the hub also."""
        on_hub = self.task.hub_splits
        return {split: (*([on_hub[split]] if split in on_hub else []), *stems) for split, stems in STEMS.items()}

    @cached_property
    def _folder(self) -> Path:
        """The folder of the task: one below the root that is called like it, or the root itself."""
        inside = sorted(self.root.iterdir())
        names = {_plain(self.task.name), _plain(self._called_folder)}
        below = [place for place in inside if place.is_dir() and _plain(place.name) in names]
        if below or self._holds_splits(inside) or self.task.hub_path is None:
            return below[0] if below else self.root
        what = f"no folder {self._called_folder} for task {self.task.name}; there is {_listing(self.root)}"
        raise DataError(what, where=self.root, hint=self._hint)

    def _holds_splits(self, inside: list[Path]) -> bool:
        stems = {stem for names in self._stems.values() for stem in names}
        official = self.task.glue.files.values() if self.task.glue else ()
        return any(
            place.name in official or place.name.partition(".")[0].partition("-")[0] in stems for place in inside
        )

    @property
    def _called_folder(self) -> str:
        return self.task.glue.folder if self.task.glue else self.task.name

    @property
    def _hint(self) -> str:
        return (
            f"--data.root names a folder that holds {self._called_folder}/, or that folder itself; in it is for "
            f"each split a file called {', '.join(STEMS)} or as GLUE calls it, ending in {', '.join(ENDINGS)}, "
            "or a folder of datasets"
        )


def _listing(folder: Path) -> str:
    return listed(sorted(place.name for place in folder.iterdir())) or "nothing"


def _plain(name: str) -> str:
    """Return a folder's or a task's name as both may write it: without case, hyphens and underscores."""
    return name.lower().replace("-", "").replace("_", "")
