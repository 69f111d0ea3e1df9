"""From the labels of a file, any number a row, to a 1 or a 0 for each label of the task."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Value
from numpy.typing import NDArray

from ee_lightning.data.arrow_files import Table
from ee_lightning.data.task import NO_LABEL, Task
from ee_lightning.data.words import in_order, listed, looks_like_a_list, word_of, words_in
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
    for chunk in table.column(name).chunks:
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
                hint=f"write lists as JSON does, or labels with {task.label_separator!r} between them; "
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
        hint="name the column with the labels, or with --data.own.label_columns a column of 0 and 1 for each label",
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1, "false": 0, "true": 1}
"""What stands for 0 and 1."""

UNKNOWN = {"-1": NO_LABEL, "-1.0": NO_LABEL}
_OTHER = 2


class Vectors(NamedTuple):
    """What the lists of a column are, if they are multi-hot vectors.

    Attributes:
        length: The number of entries that all lists have, two or more, which are 0 and 1 throughout; None if they
            have not.
        row: A row that holds 0 or 1 twice and is no list of different labels; None if there is none.
    """

    length: int | None
    row: int | None


def find_vectors(parts: Iterable[Part], *, with_unknown: bool) -> Vectors:
    """Look for multi-hot vectors in a column.

    Args:
        parts: The labels of all rows.
        with_unknown: Whether -1 may stand for what is not known.
    """
    lengths: set[int] = set()
    first, has_others = None, False
    for part in parts:
        flags = flags_of(part, with_unknown=with_unknown)
        is_flag = flags != _OTHER
        counts = np.bincount(part.rows, minlength=len(part.is_known))  # [rows]
        is_twice = [np.bincount(part.rows[flags == flag], minlength=len(counts)) > 1 for flag in (0, 1, NO_LABEL)]
        is_vector = np.any(is_twice, axis=0) & (np.bincount(part.rows[is_flag], minlength=len(counts)) == counts)
        if first is None and is_vector.any():
            first = part.start + int(is_vector.argmax())
        lengths.update(np.unique(counts[part.is_known]).tolist())
        has_others = has_others or not is_flag.all()
    is_one = len(lengths) == 1 and min(lengths) > 1 and not has_others
    return Vectors(min(lengths) if is_one else None, first)


def flags_of(part: Part, *, with_unknown: bool) -> NDArray[np.int8]:
    """Return 0, 1 or -1 for each entry that says so, and 2 for any other, [labels]."""
    known = FLAGS | UNKNOWN if with_unknown else FLAGS
    distinct = part.words.unique()
    places = pc.index_in(part.words, value_set=distinct).to_numpy(zero_copy_only=False)  # [labels]
    flags: NDArray[np.int8] = np.asarray([known.get(word, _OTHER) for word in distinct.to_pylist()], np.int8)[places]
    return flags


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
            hint=f"{NAME_THEM}, or {WRITE_NAMES}",
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
            hint=WRITE_NAMES,
        )
    if vectors.length != len(names):
        raise DataError(
            f"the lists look like multi-hot vectors of {vectors.length} labels, and there are {len(names)}",
            where=table.where(0),
            hint=f"{NAME_THEM}, as many as entries; or {WRITE_NAMES}",
        )
    if unknown := [name for name in names if name not in task.label_words]:
        raise DataError(
            f"the data set's label {unknown[0]!r} is unknown",
            where=table.where(0),
            hint=f"labels of {task.name}: {listed(task.label_names)}",
        )
    return np.asarray([task.label_words[name] for name in names])


def _are_words(table: Table, task: Task, known: Mapping[str, int]) -> bool:
    """Whether every entry of every list is a word for a label."""
    distinct = (part.words.unique().to_pylist() for part in label_lists(table, task))
    return all(word is not None and task.spelt(word) in known for words in distinct for word in words)


def _refuse_no_labels(row: int | None, table: Table) -> None:
    """Raise an error for lists of truth values that are no multi-hot vectors, and vectors among other lists."""
    if getattr(getattr(table.rows.features[table.columns.label], "feature", None), "dtype", None) == "bool":
        raise no_labels(table, "lists of truth values, which are no multi-hot vectors")
    if row is not None:
        raise DataError(
            "the list has 0 or 1 twice, as multi-hot vectors have, and other rows have lists of another kind or length",
            where=table.where(row),
            hint=f"give all vectors an entry of 0 or 1 for each label; or {WRITE_NAMES}",
        )


def _refuse_missing(part: Part, table: Table, *, is_test: bool) -> None:
    if not (is_test or part.is_known.all()):
        missing = part.start + int(part.is_known.argmin())
        raise DataError("the row has no labels", where=table.where(missing), hint="leave a row without any empty")


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
            hint=f"labels of {task.name}: {listed(task.label_names)}; between them stands "
            f"{task.label_separator!r}, or what --data.own.label_separator gives",
        )
    sets[part.rows, np.asarray(numbers, dtype=np.int64)[places]] = 1


def _flags(table: Table, name: str, *, is_test: bool) -> NDArray[np.int8]:
    """Return a column of 0 and 1, [rows]."""
    column = table.column(name)
    known = {**FLAGS, **UNKNOWN, "None": NO_LABEL} if is_test else FLAGS
    distinct = pc.unique(column)
    numbers = [known.get(str(value)) for value in distinct.to_pylist()]
    places = pc.index_in(column, value_set=distinct).to_numpy()  # [rows]
    if None in numbers:
        row = int(np.isin(places, [place for place, number in enumerate(numbers) if number is None]).argmax())
        raise DataError(
            f"{name!r} is {column[row].as_py()!r}, and neither 0 nor 1",
            where=table.where(row),
            hint="write 1 in the rows that have the label, and 0 in the others",
        )
    flags: NDArray[np.int8] = np.asarray(numbers, dtype=np.int8)[places]  # [rows]
    return flags
