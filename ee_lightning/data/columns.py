"""The text and label columns of one split, wherever they were read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from ee_lightning.data.task import Task
from ee_lightning.errors import DataError

USUAL_TEXTS = {
    1: (("sentence",), ("text",)),
    2: (("sentence1", "sentence2"), ("premise", "hypothesis")),
}
USUAL_LABELS = ("label", "gold_label")


@dataclass(frozen=True)
class Columns:
    """What to read of a file.

    Args:
        texts: The columns with text, one or two.
        label: The column with the label; None where rows have none.
        label_columns: The columns of 0 and 1 in its place, one for each label.
    """

    texts: tuple[str, ...]
    label: str | None
    label_columns: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, the texts first."""
        return (*self.texts, *self.label_columns) if self.label is None else (*self.texts, self.label)


Choose = Callable[[Sequence[str], object], Columns]
"""Picks the columns to read, given all that there are and the file that has them."""


@dataclass(frozen=True)
class Table:
    """The rows of a split.

    Args:
        rows: Their chosen columns, under the names that they have in the file.
        columns: Which these are.
        where: Names the place of a row, counted from 0, as an error does.
        numbers: The number of each row in its file, from 0, [rows]; None if that is its position here.
    """

    rows: Dataset
    columns: Columns
    where: Callable[[int], str]
    numbers: NDArray[np.int64] | None = None


def choose_columns(task: Task, split: str) -> Choose:
    """Say how the columns of a local file are picked.

    A task of the table is read by its official columns, by those on the hub, or by the usual names of texts and labels;
    a task of one's own by the columns that were given. Only a test split may lack the label.

    Args:
        task: The task to read.
        split: One of `SPLITS`.
    """
    texts, labels = [task.text_columns], [task.label_column]
    if task.glue is not None:
        texts, labels = [task.glue.text_columns, *texts], [task.glue.label_column, *labels]
    if task.hub_path is not None:
        texts, labels = [*texts, *USUAL_TEXTS[len(task.text_columns)]], [*labels, *USUAL_LABELS]

    def choose(header: Sequence[str], where: object) -> Columns:
        if task.label_columns:
            return _choose_beside_labels(task, split, header, where)
        found = next((names for names in texts if set(names) <= set(header)), None)
        label = next((name for name in labels if name in header), None)
        missing = next(name for name in texts[0] if name not in header) if found is None else labels[0]
        if found is None or (label is None and split != "test"):
            expected = (
                " or ".join(dict.fromkeys("+".join(names) for names in texts))
                if found is None
                else (" or ".join(dict.fromkeys(labels)))
            )
            raise DataError(
                f"no column {missing!r}",
                where=where,
                hint=f"it has the columns {', '.join(header)}{_hint(header)}; task {task.name} reads {expected}",
            )
        return Columns(found, label)

    return choose


def _hint(header: Sequence[str]) -> str:
    """Say what seems to be wrong with a header that is one column."""
    is_torn = len(header) == 1 and any(separator in header[0] for separator in "\t;,|")
    return ", which looks like several: a .csv has commas between its cells, and a .tsv tabs" if is_torn else ""


def _choose_beside_labels(task: Task, split: str, header: Sequence[str], where: object) -> Columns:
    missing = [name for name in (*task.text_columns, *task.label_columns) if name not in header]
    if split == "test" and {*missing} == {*task.label_columns}:
        return Columns(task.text_columns, None)
    if missing:
        raise DataError(
            f"no column {missing[0]!r}",
            where=where,
            hint=f"it has the columns {', '.join(header)}; name those of the labels with --data.own.label_columns",
        )
    return Columns(task.text_columns, None, task.label_columns)
