"""How the labels of a split are written, which must be the same in all splits of a task."""

from collections.abc import Iterator

import pyarrow.compute as pc
from datasets import ClassLabel

from ee_lightning.data.sources.label_lists import label_lists
from ee_lightning.data.sources.multi_hot import FLAGS
from ee_lightning.data.sources.table import Table
from ee_lightning.data.sources.words import listed
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError


class Writing:
    """Remembers whether the labels of the splits that were read are words or numbers, multi-hot vectors included.

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
        kind = None if table.columns.label is None else self._kind(table)
        if kind is None:
            return
        if other := next((name for name, its in self._of_splits.items() if its != kind), None):
            raise DataError(
                f"the labels of {split} are {kind}, and those of {other} are {self._of_splits[other]}",
                where=table.where(0),
                mend=f"write all of them as words ({listed(self.task.label_names)}): numbers may have another order",
            )
        self._of_splits[split] = kind

    def _kind(self, table: Table) -> str | None:
        words = {self.task.spelt(word) for word in self._words(table)}
        if words & self.task.name_words.keys():
            return "words"
        return "numbers" if words & self.task.label_words.keys() else None

    def _words(self, table: Table) -> Iterator[str]:
        """Yield the different labels, of multi-hot vectors what they hold; none where the data set has own names."""
        label = str(table.columns.label)
        feature = table.rows.features[label]
        if isinstance(getattr(feature, "feature", feature), ClassLabel):
            return
        if self.task.multi_label:
            for part in label_lists(table, self.task):
                for word in filter(None, part.words.unique().to_pylist()):
                    yield word if word in self.task.name_words else str(FLAGS.get(word, word))
            return
        column = table.rows.select_columns([label]).with_format("arrow")[:].column(label)
        yield from (str(value).strip() for value in pc.unique(column).to_pylist())
