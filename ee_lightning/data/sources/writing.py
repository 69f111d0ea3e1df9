"""How the labels of a split are written, which must be the same in all splits of a task."""

import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel

from ee_lightning.data.sources.table import Table
from ee_lightning.data.sources.words import listed
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError


class Writing:
    """Remembers whether the labels of the splits that were read are words or numbers.

    Args:
        task: Their task.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._of_splits: dict[str, str] = {}

    def check(self, table: Table, split: str) -> None:
        """Refuse a split whose labels are words where those of another are numbers, or the other way round.

        Args:
            table: The rows as they were read.
            split: One of `SPLITS`.

        Raises:
            DataError: Its labels are written in another way.
        """
        label = table.columns.label
        if label is None or self.task.multi_label or isinstance(table.rows.features[label], ClassLabel):
            return
        column = table.rows.select_columns([label]).with_format("arrow")[:].column(label)
        kind = None if pa.types.is_nested(column.type) else self._kind(column)
        if kind is None:
            return
        if other := next((name for name, its in self._of_splits.items() if its != kind), None):
            raise DataError(
                f"the labels of {split} are {kind}, and those of {other} are {self._of_splits[other]}",
                where=table.where(0),
                mend=f"write all of them as words ({listed(self.task.label_names)}): numbers may have another order",
            )
        self._of_splits[split] = kind

    def _kind(self, column: pa.ChunkedArray) -> str | None:
        words = {self.task.spelt(str(value).strip()) for value in pc.unique(column).to_pylist()}
        if words & self.task.name_words.keys():
            return "words"
        return "numbers" if words & self.task.label_words.keys() else None
