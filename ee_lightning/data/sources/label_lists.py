"""The labels of rows that have any number of them, taken out of their column."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel
from numpy.typing import NDArray

from ee_lightning.data.sources.list_texts import looks_like_a_list, words_in
from ee_lightning.data.sources.table import Table
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError

MOST_SHOWN = 80
"""Characters of a cell in a message."""


class Part(NamedTuple):
    """The labels of some rows.

    Attributes:
        start: The number of the first row.
        is_known: Which rows have labels, [rows].
        rows: The row of each label, counted from the first, [labels].
        words: The labels as words, [labels].
    """

    start: int
    is_known: NDArray[np.bool_]
    rows: NDArray[np.int64]
    words: pa.Array


def label_lists(table: Table, task: Task) -> Iterator[Part]:
    """Take the labels out of their column, a part of the rows at a time.

    Args:
        table: The rows as they were read.
        task: Their task.

    Raises:
        DataError: The column holds something else.
    """
    name, start = str(table.columns.label), 0
    for chunk in table.rows.select_columns([name]).with_format("arrow")[:].column(name).chunks:
        is_text = _is_text(chunk.type)
        lists = _split(chunk, task, table, start) if is_text else chunk
        if not _is_list(lists.type):
            raise no_labels(table, chunk.type)
        rows, words = pc.list_parent_indices(lists).to_numpy(), _words(pc.list_flatten(lists))
        if words is None:
            raise no_labels(table, chunk.type)
        if is_text:
            is_lone = np.bincount(rows, minlength=len(lists))[rows] == 1
            kept = ~(is_lone & pc.equal(words, "").to_numpy(zero_copy_only=False))  # an empty text splits into one
            rows, words = rows[kept], words.filter(pa.array(kept))
        yield Part(start, chunk.is_valid().to_numpy(zero_copy_only=False), rows, words)
        start += len(chunk)


def own_names(table: Table) -> Sequence[str]:
    """Return the words that the data set itself has for numbers in lists; none if it has none."""
    labels = getattr(table.rows.features[table.columns.label], "feature", None)
    return labels.names if isinstance(labels, ClassLabel) else ()


def _split(texts: pa.Array, task: Task, table: Table, start: int) -> pa.Array:
    """Split texts at the separator, but those that are lists in the notation of Python or JSON."""
    trimmed = pc.utf8_trim_whitespace(texts)
    has_brackets = pc.match_substring_regex(trimmed, r"^(\[|\(|\{|set\()").fill_null(False)
    lists = pc.split_pattern(texts, task.label_separator)
    if not pc.any(has_brackets).as_py():
        return lists
    split = lists.to_pylist()
    for row in np.flatnonzero(has_brackets.to_numpy(zero_copy_only=False)):
        text = trimmed[row].as_py()
        if text in task.label_words:
            split[row] = [text]
        elif (words := words_in(text)) is not None:
            split[row] = words
        elif looks_like_a_list(text):
            raise DataError(
                f"{text[:MOST_SHOWN]!r} looks like a list, and can't be read as one",
                where=table.where(start + int(row)),
                mend=f"write lists as JSON does, or labels with {task.label_separator!r} between them; "
                "a label that is called like this is listed in --data.own.label_names",
            )
    return pa.array(split, type=pa.list_(pa.string()))


def _words(values: pa.Array) -> pa.Array | None:
    """Return labels as words, and None if they are neither words nor whole numbers nor truth values."""
    if pa.types.is_floating(values.type):
        if not pc.all(pc.equal(pc.floor(values), values)).as_py():
            return None
        values = values.cast(pa.int64(), safe=False)
    if pa.types.is_integer(values.type) or pa.types.is_null(values.type) or pa.types.is_boolean(values.type):
        return values.cast(pa.string())
    return pc.utf8_trim_whitespace(values) if _is_text(values.type) else None


def no_labels(table: Table, kind: object) -> DataError:
    """Word that a column holds no labels.

    Args:
        table: The rows as they were read.
        kind: What it holds.
    """
    return DataError(
        f"column {table.columns.label!r} holds {kind}, and neither lists of labels nor texts",
        where=table.where(0),
        mend="name the column with the labels, or with --data.own.label_columns a column of 0 and 1 for each label",
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
