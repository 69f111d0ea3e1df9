"""Rows from local files: the official GLUE folder, ELUE's, or files of the kinds that data come in."""

from pathlib import Path

from datasets import ClassLabel, Dataset

from ee_lightning.data.sources.arrow import read_parquet, read_saved
from ee_lightning.data.sources.label_sets import found_labels
from ee_lightning.data.sources.labels import found_words
from ee_lightning.data.sources.places import ENDINGS, Places
from ee_lightning.data.sources.rows import rows_of
from ee_lightning.data.sources.table import Table, choose_columns
from ee_lightning.data.sources.text_files import begins_with_header, read_text_file
from ee_lightning.data.sources.writing import Writing
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError


class LocalSource:
    """The files of a task below a local folder, or one file.

    A split is a file called `train`, `validation` (or `dev`, `val`, `valid`) or `test`, ending in `.tsv`, `.csv`,
    `.jsonl` or `.parquet`; or Parquet shards, as `train-00000-of-00002.parquet`; or a folder of `datasets`. GLUE's own
    files, and those that a task of one's own names, come first.

    Args:
        root: The folder of the task, or one that holds a folder called like it; or what holds the training rows, a file
            or a folder that `Dataset.save_to_disk` wrote. ``~`` is the home folder.
        task: The task to read.
    """

    def __init__(self, root: Path, task: Task) -> None:
        self.root, self.task = root.expanduser(), task
        self._places, self._writing = Places(self.root, task), Writing(task)

    def has(self, split: str) -> bool:
        """Whether the file of a split is there, or is named."""
        return bool(self._places.of(split))

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`. A test file without the label column is unlabelled."""
        table = self._table(split)
        rows = rows_of(table, self.task, split)
        self._writing.check(table, split)
        return rows

    def files(self, split: str) -> list[str]:
        """Name the files of a split; see `Source.files`. Those below the root are named from there."""
        root = self.root if self.root.is_dir() and not self._places.is_one else self.root.parent
        places = self._places.of(split)
        return [str(place.relative_to(root) if place.is_relative_to(root) else place) for place in places]

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
        if not (places := self._places.of(split)):
            raise self._places.missing(split)
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
