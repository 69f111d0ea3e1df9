"""Rows from local files: the official GLUE folder, ELUE's, or files of the kinds that data come in."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from datasets import ClassLabel, Dataset

from ee_lightning.data.sources.arrow import STATE, read_parquet, read_saved, shards_of
from ee_lightning.data.sources.label_sets import found_labels
from ee_lightning.data.sources.labels import found_words
from ee_lightning.data.sources.rows import rows_of
from ee_lightning.data.sources.table import Table, choose_columns
from ee_lightning.data.sources.text_files import begins_with_header, read_text_file
from ee_lightning.data.sources.writing import Writing
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
        self.root, self.task, self._writing = root, task, Writing(task)

    def has(self, split: str) -> bool:
        """Whether the file of a split is there, or is named."""
        return bool(self._places(split))

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`. A test file without the label column is unlabelled."""
        table = self._table(split)
        rows = rows_of(table, self.task, split)
        self._writing.check(table, split)
        return rows

    def label_words(self) -> list[str]:
        """Give the different labels of the training rows: in the data set's own order if it has one, else sorted.

        Raises:
            DataError: There are no training rows, or something in them is wrong.
        """
        table = self._table("train")
        if self.task.multi_label:
            return found_labels(table, self.task)
        label = table.columns.label
        if isinstance(feature := table.rows.features[label], ClassLabel):
            return list(feature.names)
        return found_words(table.rows.select_columns([label]).with_format("arrow")[:].column(label), table.where)

    def _table(self, split: str) -> Table:
        if not (places := self._places(split)):
            is_folder = not (self.task.files or self.root.is_file())
            raise DataError(
                f"no {split} file of task {self.task.name}",
                where=self._folder / self._expected(split) if is_folder else self.root,
                mend=self._hint if self.task.hub_path is not None else self._hint_of_own(split),
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
            has_header = split == "test" or begins_with_header(first, choose)
            names = () if has_header else self.task.glue.headerless
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
        found = [places for stem in self._stems[split] for places in self._called(stem)]
        if len(found) > 1:
            names = ", ".join(places[0].name for places in found)
            raise DataError(
                f"several files could be the {split} split: {names}",
                where=self._folder,
                mend="leave one of them in the folder",
            )
        return found[0] if found else []

    def _called(self, stem: str) -> Iterator[list[Path]]:
        """Give each file or folder that is called like this, and the shards."""
        for place in (self._folder / stem, *(self._folder / f"{stem}{ending}" for ending in ENDINGS)):
            if (place / STATE).is_file() or place.is_file():
                yield [place]
        if shards := shards_of(self._folder, stem):
            yield shards

    @property
    def _stems(self) -> dict[str, tuple[str, ...]]:
        """What the files of each split are called, on the hub also."""
        on_hub = self.task.hub_splits
        return {split: (*([on_hub[split]] if split in on_hub else []), *stems) for split, stems in STEMS.items()}

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
        stems = {stem for names in self._stems.values() for stem in names}
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

    def _hint_of_own(self, split: str) -> str:
        return (
            f"name it with --data.own.files '{{train: FILE, {split}: FILE}}', "
            f"or hold a share of the training rows out with --data.own.{split}_share"
        )


def _plain(name: str) -> str:
    """Give a folder's or a task's name as both may write it: without case, hyphens and underscores."""
    return name.lower().replace("-", "").replace("_", "")
