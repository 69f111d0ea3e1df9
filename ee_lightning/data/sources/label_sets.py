"""From the labels of a file, any number of them a row, to a 1 or a 0 for each label of the task."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Value
from numpy.typing import NDArray

from ee_lightning.data.sources.label_lists import Part, label_lists, no_labels, own_names
from ee_lightning.data.sources.multi_hot import FLAGS, UNKNOWN, find_vectors, flags_of
from ee_lightning.data.sources.table import Table
from ee_lightning.data.sources.words import in_order, listed, word_of
from ee_lightning.data.task import NO_LABEL, Task
from ee_lightning.errors import DataError

OTHER_SEPARATORS = ";,|"
NAME_THEM = "name the labels in the order of the entries with --data.own.label_names"
WRITE_NAMES = "write the names of a row's labels, or give each label a column of 0 and 1 (--data.own.label_columns)"
log = logging.getLogger(__name__)


def read_label_sets(table: Table, task: Task, split: str) -> pa.FixedSizeListArray:
    """Return for every row which of the task's labels it has.

    They are in one column, as lists of names or numbers, as names with a separator between them or as multi-hot
    vectors, or each in a column of 0 and 1. An empty list or cell is a row without any of them. In a test split null
    and -1 mean that the labels are not known.

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
        numbers = _numbers_of_words(table, task)
        order = _order_of_entries(table, task, numbers, is_test=is_test)
        for part in label_lists(table, task):
            _refuse_missing(part, table, is_test=is_test)
            some = sets[part.start : part.start + len(part.is_known)]  # [some rows, labels]
            some[part.is_known] = 0
            if order is None:
                _fill_from_words(some, part, table, task, numbers)
            else:
                some[np.ix_(part.is_known, order)] = flags_of(part, with_unknown=is_test).reshape(-1, len(order))
    for number, name in enumerate(table.columns.label_columns):
        sets[:, number] = _flags(table, name, is_test=is_test)
    sets[(sets == NO_LABEL).any(axis=1)] = NO_LABEL
    return pa.FixedSizeListArray.from_arrays(pa.array(sets.reshape(-1)), task.num_classes)


def found_labels(table: Table, task: Task) -> list[str]:
    """Return the different labels of rows: in the data set's own order if it has one, else sorted.

    Args:
        table: The rows as they were read.
        task: Their task.

    Raises:
        DataError: The column holds something else, or multi-hot vectors, which don't name their labels.
    """
    if table.columns.label is None:
        return list(table.columns.label_columns)
    if names := own_names(table):
        return list(names)
    vectors = find_vectors(label_lists(table, task), with_unknown=False)
    if vectors.length is not None:
        raise DataError(
            f"the lists look like multi-hot vectors: all have {vectors.length} entries, each 0 or 1",
            where=table.where(0),
            mend=f"{NAME_THEM}, or {WRITE_NAMES}",
        )
    _refuse_no_labels(vectors.row, table)
    words: set[str] = set()
    is_split = not isinstance(table.rows.features[table.columns.label], Value)
    for part in label_lists(table, task):
        words.update(word_of(word) for word in part.words.unique().to_pylist() if word)
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


def _numbers_of_words(table: Table, task: Task) -> Mapping[str, int]:
    """Return the number of each word that the column may hold; numbers are those of the data set's own names."""
    if names := own_names(table):
        return {str(place): task.label_words[name] for place, name in enumerate(names) if name in task.label_words}
    return task.label_words


def _order_of_entries(
    table: Table, task: Task, numbers: Mapping[str, int], *, is_test: bool
) -> NDArray[np.int64] | None:
    """Return the number of the label of each entry, [labels], where lists are multi-hot vectors, and None elsewhere."""
    names = own_names(table) or task.label_names
    with_unknown = is_test and str(NO_LABEL) not in numbers
    vectors = find_vectors(label_lists(table, task), with_unknown=with_unknown)
    if vectors.length is None:
        _refuse_no_labels(vectors.row, table)
        return None
    if vectors.row is None and _are_words(table, task, numbers):
        if vectors.length != len(names):
            return None
        raise DataError(
            "every list is [0, 1] or [1, 0], which can be two label numbers or a multi-hot vector",
            where=table.where(0),
            mend=WRITE_NAMES,
        )
    if vectors.length != len(names):
        raise DataError(
            f"the lists look like multi-hot vectors of {vectors.length} labels, and there are {len(names)}",
            where=table.where(0),
            mend=f"{NAME_THEM}, as many as entries; or {WRITE_NAMES}",
        )
    if unknown := [name for name in names if name not in task.label_words]:
        raise DataError(
            f"the data set's label {unknown[0]!r} is unknown",
            where=table.where(0),
            mend=f"labels of {task.name}: {listed(task.label_names)}",
        )
    return np.asarray([task.label_words[name] for name in names])


def _are_words(table: Table, task: Task, known: Mapping[str, int]) -> bool:
    """Whether every entry of every list is a word for a label."""
    distinct = (part.words.unique().to_pylist() for part in label_lists(table, task))
    return all(word is not None and task.spelt(word) in known for words in distinct for word in words)


def _refuse_no_labels(row: int | None, table: Table) -> None:
    """Refuse lists of truth values that are no multi-hot vectors, and vectors among other lists."""
    if getattr(getattr(table.rows.features[table.columns.label], "feature", None), "dtype", None) == "bool":
        raise no_labels(table, "lists of truth values, which are no multi-hot vectors")
    if row is not None:
        raise DataError(
            "the list has 0 or 1 twice, as multi-hot vectors have, and other rows have lists of another kind or length",
            where=table.where(row),
            mend=f"give all vectors an entry of 0 or 1 for each label; or {WRITE_NAMES}",
        )


def _refuse_missing(part: Part, table: Table, *, is_test: bool) -> None:
    if not (is_test or part.is_known.all()):
        missing = part.start + int(part.is_known.argmin())
        raise DataError("the row has no labels", where=table.where(missing), mend="leave a row without any empty")


def _fill_from_words(sets: NDArray[Any], part: Part, table: Table, task: Task, known: Mapping[str, int]) -> None:
    distinct = part.words.unique()
    numbers = [None if word is None else known.get(task.spelt(word)) for word in distinct.to_pylist()]
    places = pc.index_in(part.words, value_set=distinct).to_numpy()  # [labels of these rows]
    if None in numbers:
        wrong = int(np.isin(places, [place for place, number in enumerate(numbers) if number is None]).argmax())
        word = part.words[wrong].as_py()
        word = dict(enumerate(own_names(table))).get(int(word), word) if word and word.isdecimal() else word
        raise DataError(
            f"label {word!r} is unknown" if word else "a label is empty",
            where=table.where(part.start + int(part.rows[wrong])),
            mend=f"labels of {task.name}: {listed(task.label_names)}; between them stands "
            f"{task.label_separator!r}, or what --data.own.label_separator gives",
        )
    sets[part.rows, np.asarray(numbers, dtype=np.int64)[places]] = 1


def _flags(table: Table, name: str, *, is_test: bool) -> NDArray[np.int8]:
    """Return a column of 0 and 1, [rows]."""
    column = table.rows.select_columns([name]).with_format("arrow")[:].column(name)
    known = {**FLAGS, **UNKNOWN, "None": NO_LABEL} if is_test else FLAGS
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
