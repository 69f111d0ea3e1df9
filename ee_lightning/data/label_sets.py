"""From the labels of a file, any number a row, to a 1 or a 0 for each label of the task."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Value
from numpy.typing import NDArray

from ee_lightning.data.arrow_files import Table
from ee_lightning.data.labels import Distinct, in_order, looks_like_a_list, word_of, words_in
from ee_lightning.data.tasks import NO_LABEL, Task
from ee_lightning.errors import DataError, listed

MOST_SHOWN = 80
"""Characters of a cell in a message."""
FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1, "false": 0, "true": 1}
"""What stands for 0 and 1."""
UNKNOWN = {"-1": NO_LABEL, "-1.0": NO_LABEL}
_OTHER = 2
OTHER_SEPARATORS = ";,|"
NAME_THEM = "name the labels in the order of the entries with --data.own.label_names"
WRITE_NAMES = "write the names of a row's labels, or give each label a column of 0 and 1 (--data.own.label_columns)"
log = logging.getLogger(__name__)


class Entries(NamedTuple):
    """The labels of all rows, one after the other.

    Attributes:
        is_known: Which rows have labels, [rows].
        rows: The row of each label, [labels].
        words: The labels as words, [labels].
    """

    is_known: NDArray[np.bool_]
    rows: NDArray[np.int64]
    words: Distinct

    def flags(self, *, with_unknown: bool) -> NDArray[np.int8]:
        """Return 0, 1 or, where that may be, -1 for each label that says so, and 2 for any other, [labels]."""
        known = FLAGS | UNKNOWN if with_unknown else FLAGS
        flags = np.asarray([known.get(word, _OTHER) for word in self.words.words], np.int8)
        of_labels: NDArray[np.int8] = flags[self.words.places]
        return of_labels


def entries_of(table: Table, task: Task) -> Entries:
    """Take the labels out of their column; raise a `DataError` if it holds something else."""
    column = table.column(table.columns.label).combine_chunks()
    is_text = _is_text(column.type)
    lists = _split(column, task, table) if is_text else column
    if not _is_list(lists.type):
        raise _no_labels(table, column.type)
    rows, words = pc.list_parent_indices(lists).to_numpy(), _words(pc.list_flatten(lists))
    if words is None:
        raise _no_labels(table, column.type)
    if is_text:
        is_lone = np.bincount(rows, minlength=len(lists))[rows] == 1
        kept = ~(is_lone & pc.equal(words, "").to_numpy(zero_copy_only=False))  # an empty text splits into one
        rows, words = rows[kept], words.filter(pa.array(kept))
    return Entries(column.is_valid().to_numpy(zero_copy_only=False), rows, Distinct(words))


def own_names(table: Table) -> Sequence[str]:
    """Return the words that the data set itself has for numbers in lists; none if it has none."""
    labels = getattr(table.rows.features[table.columns.label], "feature", None)
    return labels.names if isinstance(labels, ClassLabel) else ()


def _split(texts: pa.Array, task: Task, table: Table) -> pa.Array:
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
            hint = f"write lists as JSON does, or labels with {task.label_separator!r} between them; "
            hint += "a label that is called like this is listed in --data.own.label_names"
            raise table.error(f"{text[:MOST_SHOWN]!r} looks like a list, and can't be read as one", hint, int(row))
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


def _no_labels(table: Table, kind: object) -> DataError:
    what = f"column {table.columns.label!r} holds {kind}, and neither lists of labels nor texts"
    hint = "name the column with the labels, or with --data.own.label_columns a column of 0 and 1 for each label"
    return table.error(what, hint)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


class Vectors(NamedTuple):
    """Lists of a column that are multi-hot vectors.

    Attributes:
        length: The number of entries that all of them have, two or more.
        is_sure: Whether one holds 0 or 1 twice, so that it is no list of different labels.
    """

    length: int
    is_sure: bool


def find_vectors(entries: Entries, table: Table, *, with_unknown: bool) -> Vectors | None:
    """Return what multi-hot vectors a column holds, with -1 for what is not known if that may be; None for other lists.

    Raises:
        DataError: It holds vectors beside other lists, or lists of truth values that are no vectors.
    """

    def counts_of(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(entries.rows[chosen], minlength=len(entries.is_known))  # [rows]

    flags = entries.flags(with_unknown=with_unknown)
    counts = counts_of(np.ones(len(flags), dtype=bool))
    is_twice = np.any([counts_of(flags == flag) > 1 for flag in (0, 1, NO_LABEL)], axis=0)
    is_vector = is_twice & (counts_of(flags != _OTHER) == counts)
    lengths = np.unique(counts[entries.is_known])
    if len(lengths) == 1 and lengths[0] > 1 and not (flags == _OTHER).any():
        return Vectors(int(lengths[0]), bool(is_vector.any()))
    if getattr(getattr(table.rows.features[table.columns.label], "feature", None), "dtype", None) == "bool":
        raise _no_labels(table, "lists of truth values, which are no multi-hot vectors")
    if is_vector.any():
        what = (
            "the list has 0 or 1 twice, as multi-hot vectors have, and other rows have lists of another kind or length"
        )
        hint = f"give all vectors an entry of 0 or 1 for each label; or {WRITE_NAMES}"
        raise table.error(what, hint, int(is_vector.argmax()))
    return None


def read_label_sets(table: Table, task: Task, split: str) -> pa.FixedSizeListArray:
    """Return for every row which of the task's labels it has.

    They are in one column, as lists of names or numbers, as names with a separator between them or as multi-hot
    vectors, or each in a column of 0 and 1. An empty list or cell is a row without any of them. In a test split null
    and -1 mean that the labels are not known.

    Returns:
        A 1 or a 0 for each label, or -1 throughout where a row's are not known, in int8, [rows, labels].

    Raises:
        DataError: A label is not one of the task's, a row has none where it must, or a column holds something else; the
            row is named.
    """
    sets = np.full((len(table.rows), task.num_classes), NO_LABEL, dtype=task.label_type)  # [rows, labels]
    is_test = split == "test"
    if table.columns.label is not None:
        entries, numbers = entries_of(table, task), _numbers_of_words(table, task)
        order = _order_of_entries(entries, table, task, numbers, is_test=is_test)
        if not (is_test or entries.is_known.all()):
            missing = int(entries.is_known.argmin())
            raise table.error("the row has no labels", "leave a row without any empty", missing)
        sets[entries.is_known] = 0
        if order is None:
            _fill_from_words(sets, entries, table, task, numbers)
        else:
            flags = entries.flags(with_unknown=is_test).reshape(-1, len(order))  # [known rows, labels]
            sets[np.ix_(entries.is_known, order)] = flags
    for number, name in enumerate(table.columns.label_columns):
        sets[:, number] = _flags(table, name, is_test=is_test)
    sets[(sets == NO_LABEL).any(axis=1)] = NO_LABEL
    return pa.FixedSizeListArray.from_arrays(pa.array(sets.reshape(-1)), task.num_classes)


def found_labels(table: Table, task: Task) -> list[str]:
    """Return the different labels of rows: in the data set's own order if it has one, else sorted.

    Raises:
        DataError: The column holds something else, or multi-hot vectors, which don't name their labels.
    """
    if table.columns.label is None:
        return list(table.columns.label_columns)
    if names := own_names(table):
        return list(names)
    entries = entries_of(table, task)
    if (vectors := find_vectors(entries, table, with_unknown=False)) is not None:
        what = f"the lists look like multi-hot vectors: all have {vectors.length} entries, each 0 or 1"
        raise table.error(what, f"{NAME_THEM}, or {WRITE_NAMES}")
    words = {word_of(word) for word in entries.words.words if word}
    is_split = not isinstance(table.rows.features[table.columns.label], Value)
    joined = sorted(word for word in words if any(separator in word for separator in OTHER_SEPARATORS))
    if joined and not is_split and len(np.unique(entries.rows)) == len(entries.rows):
        log.warning(
            "no row has two labels with %r between them, and these look like several: %s; "
            "what stands between labels is --data.own.label_separator",
            task.label_separator,
            listed(joined),
        )
    return in_order(words)


def _numbers_of_words(table: Table, task: Task) -> Mapping[str, int]:
    """Return the number of each word that the column may hold; numbers are those of the data set's own names."""
    if names := own_names(table):
        return {str(place): task.label_words[name] for place, name in enumerate(names) if name in task.label_words}
    return task.label_words


def _order_of_entries(
    entries: Entries, table: Table, task: Task, numbers: Mapping[str, int], *, is_test: bool
) -> NDArray[np.int64] | None:
    """Return the number of the label of each entry, [labels], where lists are multi-hot vectors, and None elsewhere."""
    names = own_names(table) or task.label_names
    vectors = find_vectors(entries, table, with_unknown=is_test and str(NO_LABEL) not in numbers)
    if vectors is None:
        return None
    if not vectors.is_sure and all(word is not None and task.spelt(word) in numbers for word in entries.words.words):
        if vectors.length != len(names):
            return None
        what = "every list is [0, 1] or [1, 0], which can be two label numbers or a multi-hot vector"
        raise table.error(what, WRITE_NAMES)
    if vectors.length != len(names):
        what = f"the lists look like multi-hot vectors of {vectors.length} labels, and there are {len(names)}"
        raise table.error(what, f"{NAME_THEM}, as many as entries; or {WRITE_NAMES}")
    if unknown := [name for name in names if name not in task.label_words]:
        hint = f"labels of {task.name}: {listed(task.label_names)}"
        raise table.error(f"the data set's label {unknown[0]!r} is unknown", hint)
    return np.asarray([task.label_words[name] for name in names])


def _fill_from_words(sets: NDArray[Any], entries: Entries, table: Table, task: Task, known: Mapping[str, int]) -> None:
    words = entries.words
    numbers = [None if word is None else known.get(task.spelt(word)) for word in words.words]
    if None in numbers:
        wrong = words.first(number is None for number in numbers)
        word = words.words[words.places[wrong]]
        word = dict(enumerate(own_names(table))).get(int(word), word) if word and word.isdecimal() else word
        hint = f"labels of {task.name}: {listed(task.label_names)}; between them stands {task.label_separator!r}, "
        hint += "or what --data.own.label_separator gives"
        raise table.error(f"label {word!r} is unknown" if word else "a label is empty", hint, int(entries.rows[wrong]))
    sets[entries.rows, np.asarray(numbers, dtype=np.int64)[words.places]] = 1


def _flags(table: Table, name: str, *, is_test: bool) -> NDArray[np.int8]:
    """Return a column of 0 and 1, [rows]."""
    column = table.column(name)
    known = {**FLAGS, **UNKNOWN, "None": NO_LABEL} if is_test else FLAGS
    distinct = Distinct(column)
    numbers = [known.get(str(value)) for value in distinct.words]
    if None in numbers:
        row = distinct.first(number is None for number in numbers)
        hint = "write 1 in the rows that have the label, and 0 in the others"
        raise table.error(f"{name!r} is {column[row].as_py()!r}, and neither 0 nor 1", hint, row)
    flags: NDArray[np.int8] = np.asarray(numbers, dtype=np.int8)[distinct.places]  # [rows]
    return flags


class Writing:
    """Remembers whether the labels of the splits that were read are words or numbers, multi-hot vectors included."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._of_splits: dict[str, str] = {}

    def check(self, table: Table, split: str) -> None:
        """Raise a `DataError` for labels that are words where those of another split are numbers, or vice versa."""
        words = {self.task.spelt(word) for word in self._words(table)}
        if not words & self.task.label_words.keys():
            return
        kind = "words" if words & self.task.name_words.keys() else "numbers"
        if other := next((name for name, its in self._of_splits.items() if its != kind), None):
            what = f"the labels of {split} are {kind}, and those of {other} are {self._of_splits[other]}"
            names = listed(self.task.label_names)
            raise table.error(what, f"write all of them as words ({names}): numbers may have another order")
        self._of_splits[split] = kind

    def _words(self, table: Table) -> list[str]:
        """Return the different labels, of multi-hot vectors what they hold; none where the data set has own names."""
        label = table.columns.label
        feature = table.rows.features[label] if label is not None else None
        if label is None or isinstance(getattr(feature, "feature", feature), ClassLabel):
            return []
        if not self.task.multi_label:
            return [str(word) for word in Distinct(table.column(table.columns.label)).words if word is not None]
        words = filter(None, entries_of(table, self.task).words.words)
        return [word if word in self.task.name_words else str(FLAGS.get(word, word)) for word in words]
