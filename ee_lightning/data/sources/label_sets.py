"""From the labels of a file, any number of them a row, to a 1 or a 0 for each label of the task."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Value
from numpy.typing import NDArray

from ee_lightning.data.sources.table import Table
from ee_lightning.data.sources.words import in_order, listed
from ee_lightning.data.task import NO_LABEL, Task
from ee_lightning.errors import DataError

THERE = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}
"""What cells of 0 and 1 may hold, as Python writes it."""

OTHER_SEPARATORS = ";,|"
log = logging.getLogger(__name__)


def read_label_sets(table: Table, task: Task, split: str) -> pa.FixedSizeListArray:
    """Give for every row which of the task's labels it has.

    They are in one column, as lists of names or as names with a separator between them, or each in a column of 0 and 1.
    An empty list or cell is a row without any of them. In a test split null and -1 mean that the labels are not known.

    Args:
        table: The rows as they were read.
        task: Their task, whose labels are known.
        split: One of `SPLITS`.

    Returns:
        A 1 or a 0 for each label, or -1 throughout where a row's are not known, in int8, [rows, labels].

    Raises:
        DataError: A label is not one of the task's, a row has none where it must, or a column holds something else; the
            row is named.
    """
    sets = np.full((len(table.rows), task.num_classes), NO_LABEL, dtype=task.label_type)  # [rows, labels]
    is_test = split == "test"
    if table.columns.label is not None:
        _fill_from_names(sets, table, task, is_test=is_test)
    for number, name in enumerate(table.columns.label_columns):
        sets[:, number] = _flags(table, name, is_test=is_test)
    sets[(sets == NO_LABEL).any(axis=1)] = NO_LABEL
    return pa.FixedSizeListArray.from_arrays(pa.array(sets.reshape(-1)), task.num_classes)


def found_labels(table: Table, task: Task) -> list[str]:
    """Give the different labels of rows: in the data set's own order if it has one, else sorted.

    Args:
        table: The rows as they were read.
        task: Their task.

    Raises:
        DataError: The column holds something else.
    """
    if table.columns.label is None:
        return list(table.columns.label_columns)
    if names := _own_names(table):
        return list(names)
    words: set[str] = set()
    is_split = not isinstance(table.rows.features[table.columns.label], Value)
    for part in _parts(table, task):
        words.update(filter(None, part.words.unique().to_pylist()))
        is_split = is_split or len(np.unique(part.rows)) < len(part.rows)
    if not is_split:
        _tell_joined(words, task)
    return in_order(words)


def _tell_joined(words: set[str], task: Task) -> None:
    if joined := sorted(word for word in words if any(separator in word for separator in OTHER_SEPARATORS)):
        log.warning(
            "no row has two labels with %r between them, and these look like several: %s; "
            "what stands between labels is --data.own.label_separator",
            task.label_separator,
            listed(joined),
        )


class _Part(NamedTuple):
    """Some of the rows: the number of the first, which have labels known, and of each label its row and its word."""

    start: int
    is_known: NDArray[np.bool_]
    rows: NDArray[np.int64]
    words: pa.Array


def _fill_from_names(sets: NDArray[Any], table: Table, task: Task, *, is_test: bool) -> None:
    known = task.label_words
    for part in _parts(table, task):
        if not (is_test or part.is_known.all()):
            missing = part.start + int(part.is_known.argmin())
            raise DataError("the row has no labels", where=table.where(missing), mend="leave a row without any empty")
        distinct = part.words.unique()
        numbers = [known.get(word) for word in distinct.to_pylist()]
        places = pc.index_in(part.words, value_set=distinct).to_numpy()  # [labels of these rows]
        if None in numbers:
            wrong = int(np.isin(places, [place for place, number in enumerate(numbers) if number is None]).argmax())
            word = part.words[wrong].as_py()
            raise DataError(
                f"label {word!r} is unknown" if word else "a label is empty",
                where=table.where(part.start + int(part.rows[wrong])),
                mend=f"labels of {task.name}: {listed(task.label_names)}; between them stands "
                f"{task.label_separator!r}, or what --data.own.label_separator gives",
            )
        some = sets[part.start : part.start + len(part.is_known)]  # [some rows, labels]
        some[part.is_known] = 0
        some[part.rows, np.asarray(numbers, dtype=np.int64)[places]] = 1


def _parts(table: Table, task: Task) -> Iterator[_Part]:
    """Take the labels out of their column, a part of the rows at a time."""
    name, names, start = str(table.columns.label), _own_names(table), 0
    for chunk in table.rows.select_columns([name]).with_format("arrow")[:].column(name).chunks:
        lists = pc.split_pattern(chunk, task.label_separator) if _is_text(chunk.type) else chunk
        if not _is_list(lists.type):
            raise _no_labels(table, name, chunk.type)
        rows, words = pc.list_parent_indices(lists).to_numpy(), _words(pc.list_flatten(lists), names)
        if words is None:
            raise _no_labels(table, name, chunk.type)
        if _is_text(chunk.type):
            is_lone = np.bincount(rows, minlength=len(lists))[rows] == 1
            kept = ~(is_lone & pc.equal(words, "").to_numpy(zero_copy_only=False))  # an empty text splits into one
            rows, words = rows[kept], words.filter(pa.array(kept))
        yield _Part(start, chunk.is_valid().to_numpy(zero_copy_only=False), rows, words)
        start += len(chunk)


def _words(values: pa.Array, names: Sequence[str]) -> pa.Array | None:
    """Give labels as words, and None if they are neither words nor whole numbers."""
    if names:
        return pa.array([names[number] for number in values.to_pylist()], type=pa.string())
    if pa.types.is_integer(values.type) or pa.types.is_null(values.type):
        return values.cast(pa.string())
    return pc.utf8_trim_whitespace(values) if _is_text(values.type) else None


def _own_names(table: Table) -> Sequence[str]:
    """Give the words that the data set itself has for numbers in lists; none if it has none."""
    labels = getattr(table.rows.features[table.columns.label], "feature", None)
    return labels.names if isinstance(labels, ClassLabel) else ()


def _flags(table: Table, name: str, *, is_test: bool) -> NDArray[np.int8]:
    """Give a column of 0 and 1, [rows]."""
    column = table.rows.select_columns([name]).with_format("arrow")[:].column(name)
    known = {**THERE, "-1": NO_LABEL, "None": NO_LABEL} if is_test else THERE
    distinct = pc.unique(column)
    numbers = [known.get(str(value)) for value in distinct.to_pylist()]
    places = pc.index_in(column, value_set=distinct).to_numpy()  # [rows]
    if None in numbers:
        row = int(np.isin(places, [place for place, number in enumerate(numbers) if number is None]).argmax())
        raise DataError(
            f"{name!r} is {column[row].as_py()!r}, and neither 0 nor 1",
            where=table.where(row),
            mend="write 1 in the rows that have the label, and 0 in the others",
        )
    flags: NDArray[np.int8] = np.asarray(numbers, dtype=np.int8)[places]  # [rows]
    return flags


def _no_labels(table: Table, name: str, kind: pa.DataType) -> DataError:
    return DataError(
        f"column {name!r} holds {kind}, and neither lists of labels nor texts",
        where=table.where(0),
        mend="name the column with the labels, or with --data.own.label_columns a column of 0 and 1 for each label",
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
