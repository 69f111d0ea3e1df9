"""Rows from local files: the official GLUE folder, ELUE's, or files of the kinds that data come in."""

from functools import cached_property
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset

from ee_lightning.data.sources.arrow import STATE, read_parquet, read_saved
from ee_lightning.data.sources.label_sets import found_labels
from ee_lightning.data.sources.labels import refuse_lists
from ee_lightning.data.sources.rows import rows_of
from ee_lightning.data.sources.table import Table, choose_columns
from ee_lightning.data.sources.text_files import read_text_file
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError

STEMS = {"train": ("train",), "validation": ("validation", "dev", "val", "valid"), "test": ("test",)}
ENDINGS = (".tsv", ".csv", ".jsonl", ".parquet")


class LocalSource:
    """The files of a task below a local folder, or one file.

    A split is a file called `train`, `validation` (or `dev`, `val`, `valid`) or `test`, ending in `.tsv`, `.csv`,
    `.jsonl` or `.parquet`; or Parquet shards, as `train-00000-of-00002.parquet`; or a folder of `datasets`. GLUE's own
    files, and those that a task of one's own names, come first.

    Args:
        root: The folder of the task, or one that holds a folder called like it; or the file with the training rows.
        task: The task to read.
    """

    def __init__(self, root: Path, task: Task) -> None:
        self.root, self.task = root, task

    def has(self, split: str) -> bool:
        """Whether the file of a split is there, or is named."""
        return bool(self._places(split))

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`. A test file without the label column is unlabelled."""
        return rows_of(self._table(split), self.task, split)

    def label_words(self) -> list[str]:
        """Give the different labels of the training rows: in the data set's own order if it has one, else sorted.

        Raises:
            DataError: There are no training rows, or something in them is wrong.
        """
        table = self._table("train")
        if self.task.multi_label:
            return found_labels(table, self.task)
        label = table.columns.label
        refuse_lists(table.rows.features.arrow_schema.field(label).type, table.where)
        if isinstance(feature := table.rows.features[label], ClassLabel):
            return list(feature.names)
        words = [word for value in table.rows.unique(label) if value is not None and (word := _word(value)).strip()]
        return sorted(words, key=int) if all(map(_is_number, words)) else sorted(words)

    def _table(self, split: str) -> Table:
        places = self._places(split)
        if not places and self.root.is_file():
            raise DataError(
                f"there is no {split} split: all rows of the one file train",
                where=self.root,
                mend="name a file for each split in --data.own.files, or hold rows out by --data.own.validation_share "
                "and --data.own.test_share",
            )
        if not places:
            raise DataError(
                f"no {split} file of task {self.task.name}", where=self._folder / self._expected(split), mend=self._hint
            )
        if missing := [place for place in places if not place.exists()]:
            raise DataError(f"there is no such {split} file", where=missing[0], mend="correct --data.own.files")
        return self._read(places, split)

    def _read(self, places: list[Path], split: str) -> Table:
        choose, first = choose_columns(self.task, split), places[0]
        if first.is_dir():
            return read_saved(first, choose)
        ending = first.suffix.lower()
        if ending == ".parquet":
            return read_parquet(places, choose)
        if ending == ".tsv" and self.task.glue is not None:
            names = self.task.glue.headerless if split != "test" else ()
            return read_text_file(first, choose, names, skips_ragged=self.task.glue.skips_ragged)
        if ending in ENDINGS:
            return read_text_file(first, choose)
        raise DataError(
            f"files ending in {first.suffix!r} are not read", where=first, mend=f"give one of {', '.join(ENDINGS)}"
        )

    def _places(self, split: str) -> list[Path]:
        """Give the one file or folder of a split, or its shards; none where it is not there."""
        if self.task.files:
            return [self.root / self.task.files[split]] if split in self.task.files else []
        if self.root.is_file():
            return [self.root] if split == "train" else []
        if self.task.glue is not None and (official := self._folder / self.task.glue.files[split]).is_file():
            return [official]
        found = [
            place
            for stem in self._stems(split)
            for place in (self._folder / stem, *(self._folder / f"{stem}{ending}" for ending in ENDINGS))
            if (place / STATE).is_file() or place.is_file()
        ]
        if len(found) > 1:
            raise DataError(
                f"several files could be the {split} split: {', '.join(place.name for place in found)}",
                where=self._folder,
                mend="leave one of them in the folder",
            )
        shards = [place for stem in self._stems(split) for place in sorted(self._folder.glob(f"{stem}-*-of-*.parquet"))]
        return found or shards

    def _stems(self, split: str) -> tuple[str, ...]:
        """Give what the file of a split may be called, the hub's own name included."""
        on_the_hub = self.task.hub_splits.get(split)
        return STEMS[split] if on_the_hub is None else (*STEMS[split], on_the_hub)

    @cached_property
    def _folder(self) -> Path:
        """The folder of the task: one below the root that is called like it, or the root itself."""
        names = {_plain(self.task.name), *([_plain(self.task.glue.folder)] if self.task.glue else [])}
        inside = sorted(self.root.iterdir()) if self.root.is_dir() else []
        below = [place for place in inside if place.is_dir() and _plain(place.name) in names]
        if below or self._holds_splits(inside):
            return below[0] if below else self.root
        raise DataError(
            f"no folder {self.task.glue.folder if self.task.glue else self.task.name} for task {self.task.name}",
            where=self.root,
            mend=self._hint,
        )

    def _holds_splits(self, inside: list[Path]) -> bool:
        stems = {stem for split in STEMS for stem in self._stems(split)}
        official = set(self.task.glue.files.values()) if self.task.glue else set()
        return any(
            place.name in official or place.name.partition(".")[0].partition("-")[0] in stems for place in inside
        )

    def _expected(self, split: str) -> str:
        return self.task.glue.files[split] if self.task.glue else f"{split}.csv"

    @property
    def _hint(self) -> str:
        folder = self.task.glue.folder if self.task.glue else self.task.name
        return (
            f"--data.root names a folder that holds {folder}/, or that folder itself; in it is for each split a file "
            f"called {', '.join(STEMS)} or as GLUE calls it, ending in {', '.join(ENDINGS)}, or a folder of datasets"
        )


def _plain(name: str) -> str:
    """Give a folder's or a task's name as both may write it: without case, hyphens and underscores."""
    return name.lower().replace("-", "").replace("_", "")


def _word(label: Any) -> str:
    return str(int(label) if isinstance(label, float) and label.is_integer() else label)


def _is_number(word: str) -> bool:
    return word.removeprefix("-").isdecimal()
