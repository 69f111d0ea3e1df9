"""What every source hands over: rows of one or two texts and a label."""

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, Value

from ee_lightning.data.selection import UNASKED, leave_rows, with_numbers
from ee_lightning.data.sources.label_sets import read_label_sets
from ee_lightning.data.sources.labels import read_labels
from ee_lightning.data.sources.table import Table
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError

SPLITS = ("train", "validation", "test")
TEXT_COLUMNS = ("text_a", "text_b")
TEXT_TYPES = ("string", "large_string")
log = logging.getLogger(__name__)


class Source(Protocol):
    """A place that the rows of one task can be read from."""

    def has(self, split: str) -> bool:
        """Whether a split, one of `SPLITS`, is there."""

    def load(self, split: str) -> Dataset:
        """Read a split, one of `SPLITS`, in its own order.

        Returns:
            A data set with the columns `text_a`, `text_b` for pairs only, and `label`, `Task.unlabelled` where a row
            has none; and `number`, the row's number in the `files`, where that is not its position.

        Raises:
            DataError: The split is missing, or something in it is wrong.
        """

    def files(self, split: str) -> list[str]:
        """Name the files that a split is read from, one of `SPLITS`, in order; the numbers of rows run through all."""


def build_rows(texts: Sequence[Sequence[str]], labels: Sequence[float], label_type: str = "int64") -> Dataset:
    """Put texts and labels together.

    Args:
        texts: One or two columns, each of one text a row.
        labels: One label a row.
        label_type: The task's `Task.label_type`.

    Returns:
        A data set with the columns `text_a`, `text_b` where two text columns were given, and `label`.
    """
    columns = dict(zip(TEXT_COLUMNS, texts, strict=False))
    features = Features({**{name: Value("string") for name in columns}, "label": Value(label_type)})
    return Dataset.from_dict({**columns, "label": labels}, features=features)


def rows_of(table: Table, task: Task, split: str) -> Dataset:
    """Give a table the columns that every source hands over; texts that lie on the disk stay there.

    Args:
        table: The rows as they were read.
        task: Their task.
        split: One of `SPLITS`.

    Returns:
        See `Source.load`.

    Raises:
        DataError: A text is missing or a number, or a label is missing or not one of the task's.
    """
    for name in table.columns.texts:
        _check_texts(table, name, split)
    if task.multi_label:
        return _texts_of(table).add_column("label", read_label_sets(table, task, split), new_fingerprint=UNASKED)
    labels = np.full(len(table.rows), task.unlabelled, dtype=task.label_type)
    if (column := table.columns.label) is not None:
        feature = table.rows.features[column]
        names = feature.names if isinstance(feature, ClassLabel) else None
        labels = read_labels(_arrow(table.rows, column), task, split, table.where, names)
    rows = _texts_of(table).add_column("label", pa.array(labels), new_fingerprint=UNASKED)
    is_labelled = labels != task.unlabelled  # [rows]
    if task.skips_unlabelled and is_labelled.any() and not is_labelled.all():
        log.info("%s, %s: %d rows without an agreed label are left out", task.name, split, int((~is_labelled).sum()))
        rows = leave_rows(rows, np.flatnonzero(is_labelled))
    return rows


def _texts_of(table: Table) -> Dataset:
    names_of_ours = dict(zip(table.columns.texts, TEXT_COLUMNS, strict=False))
    texts = table.rows.select_columns(list(table.columns.texts)).rename_columns(names_of_ours)
    return texts if table.numbers is None else with_numbers(texts, table.numbers)


def _check_texts(table: Table, name: str, split: str) -> None:
    dtype = getattr(table.rows.features[name], "dtype", "lists")
    texts = _arrow(table.rows, name)
    if texts.null_count and dtype in TEXT_TYPES:
        row = next(row for row, text in enumerate(_values(texts)) if text is None)
        raise DataError(f"the row has no {name!r}", where=table.where(row), mend="give every row its texts")
    if dtype not in TEXT_TYPES or (split == "train" and all(map(_is_number, _values(texts)))):
        raise DataError(
            f"column {name!r} holds {'numbers' if dtype in TEXT_TYPES else dtype}, and no texts",
            where=table.where(0),
            mend="name the columns with the texts, for data of your own with --data.own.text_columns",
        )


def _arrow(rows: Dataset, name: str) -> pa.ChunkedArray:
    return rows.select_columns([name]).with_format("arrow")[:].column(name)


def _values(column: pa.ChunkedArray) -> Iterable[str | None]:
    return (value.as_py() for chunk in column.chunks for value in chunk)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True
