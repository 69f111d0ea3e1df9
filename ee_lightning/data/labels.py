"""From the labels of a file, words or numbers, to those of the task, alike in all splits."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel
from numpy.typing import NDArray

from ee_lightning.data.arrow_files import Table
from ee_lightning.data.label_sets import FLAGS, label_lists
from ee_lightning.data.task import NO_LABEL, Task, number_in
from ee_lightning.data.tasks import TASKS
from ee_lightning.data.words import Distinct, in_order, listed, listed_labels, word_of, words_in
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
        """Raise an error for a split whose labels are words where those of another are numbers, or the other way round.

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
                hint=f"write all of them as words ({listed(self.task.label_names)}): numbers may have another order",
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
        column = table.column(label)
        yield from (str(value).strip() for value in pc.unique(column).to_pylist())


NO_AGREEMENT = ("-", None)  # what SNLI's files have where annotators did not agree
EVERY_ROW = "give every row a label, or leave the row out"

Where = Callable[[int], str]


def read_labels(
    column: pa.ChunkedArray, task: Task, split: str, where: Where, names: Sequence[str] | None = None
) -> NDArray[Any]:
    """Return the task's number for every label.

    A label is one of the task's words, its number, or for regression a value; blanks around it are nothing. There is
    none where -1 stands in a column of numbers or a cell of a test split is empty, and where the task knows rows that
    annotators did not agree on.

    Args:
        column: The labels as they were read, [rows].
        task: The task that they should be of.
        split: One of `SPLITS`.
        where: Names the place of a row.
        names: The words that the data set itself has for its numbers, if it has.

    Returns:
        int64, or float32 for regression, [rows]; `task.unlabelled` where there is no label.

    Raises:
        DataError: A label is not one of the task's; its row is named.
    """
    refuse_lists(column.type, where)
    distinct = Distinct(column)
    _refuse_list_texts(distinct, where, task.label_words)
    _refuse_words_among_numbers(distinct, task, where)
    numbers = _Numbers(task, split, _own_words(names, task, where))
    found = [numbers.of(word) for word in distinct.words]
    if None in found:
        row = distinct.first(number is None for number in found)
        word = distinct.words[distinct.places[row]]
        raise DataError(_problem(word), where=where(row), hint=_hint(word, task))
    labels: NDArray[Any] = np.asarray(found, dtype=task.label_type)[distinct.places]  # [rows]
    return labels


def found_words(column: pa.ChunkedArray, where: Where) -> list[str]:
    """Return the different labels of rows, sorted.

    Args:
        column: The labels as they were read, [rows].
        where: Names the place of a row.

    Raises:
        DataError: The column holds lists, or a row has no label.
    """
    refuse_lists(column.type, where)
    distinct = Distinct(column)
    _refuse_list_texts(distinct, where, ())
    if None in distinct.words:
        row = distinct.first(word is None for word in distinct.words)
        raise DataError(_problem(None), where=where(row), hint=EVERY_ROW)
    return in_order({word_of(word) for word in distinct.words})


def refuse_lists(kind: pa.DataType, where: Where) -> None:
    """Raise an error for a column of lists or the like, where a row has one label.

    Args:
        kind: The type of the column.
        where: Names the place of a row.

    Raises:
        DataError: It holds lists, or values with fields.
    """
    if pa.types.is_struct(kind):
        raise DataError(
            f"the labels are of the type {kind}, and neither words nor numbers",
            where=where(0),
            hint="write each as a word or a number",
        )
    if pa.types.is_nested(kind):
        raise _lists(where(0))


def _refuse_list_texts(distinct: Distinct, where: Where, known: Collection[str]) -> None:
    """Raise an error for texts that are lists in the notation of Python or JSON, unless labels are called like them."""
    is_list = [isinstance(word, str) and word not in known and words_in(word) is not None for word in distinct.words]
    if any(is_list):
        raise _lists(where(distinct.first(is_list)))


def _lists(where: str) -> DataError:
    return DataError(
        "the labels are lists, and a row of this task has one label",
        where=where,
        hint="for any number of labels a row give --data.own.multi_label true",
    )


class _Numbers:
    def __init__(self, task: Task, split: str, own_words: Sequence[str] | None) -> None:
        self.task, self.is_test, self.own_words = task, split == "test", own_words
        self.known = task.label_words

    def of(self, word: Any) -> float | None:
        """Return the number of a label, `task.unlabelled` where it means none, and None where it is not known."""
        if word in NO_AGREEMENT and self.task.skips_unlabelled:
            return self.task.unlabelled
        if word is None:
            value, is_absent = None, self.is_test
        elif isinstance(word, str):
            spelt = self.task.spelt(word)
            value = self.known.get(spelt) if self.task.score_range is None else number_in(word)
            is_absent = self.is_test and spelt == str(NO_LABEL)
        elif isinstance(word, bool):
            value, is_absent = self.known.get(str(word)), False
        else:
            value, is_absent = self._of_number(word), word == NO_LABEL
        if value is not None and self.task.accepts(value):
            return value
        return self.task.unlabelled if is_absent else None

    def _of_number(self, number: float) -> float | None:
        if self.task.score_range is not None:
            return number
        if self.own_words is not None:
            return self.known[self.own_words[int(number)]] if 0 <= number < len(self.own_words) else None
        return self.known.get(word_of(number))


def _own_words(names: Sequence[str] | None, task: Task, where: Where) -> Sequence[str] | None:
    """Return the data set's words, which must be the task's, and None if its labels are values."""
    if names is None or task.score_range is not None:
        return None
    unknown = [name for name in names if name not in task.label_words]
    if not unknown:
        return names
    raise DataError(f"the labels are of another task: {listed(names)}", where=where(0), hint=_hint(unknown[0], task))


def _refuse_words_among_numbers(distinct: Distinct, task: Task, where: Where) -> None:
    if task.score_range is not None or not all(isinstance(word, str | None) for word in distinct.words):
        return
    words = [None if word is None else task.spelt(word) for word in distinct.words]
    names = [word in task.name_words for word in words]
    numbers = [word in task.label_words and not is_name for word, is_name in zip(words, names, strict=True)]
    if any(numbers) and any(names):
        raise DataError(
            "labels are words in some rows and numbers in others, as if two tasks were mixed up",
            where=where(max(distinct.first(numbers), distinct.first(names))),
            hint=f"write all of them as words ({listed(task.label_names)}): numbers differ from task to task",
        )


def _problem(word: Any) -> str:
    if word is None:
        return "the row has no label"
    return f"label {word!r} is {'unknown' if number_in(str(word)) is None else 'out of range'}"


def _hint(word: Any, task: Task) -> str:
    if word is None:
        return EVERY_ROW
    low, high = task.label_range
    known = listed_labels(task) or f"numbers from {low:g} to {high:g}"
    others = [each.name for each in TASKS.values() if word in each.label_names and each.name != task.name]
    hint = f"; {word!r} is one of {', '.join(others)}" if others else ""
    return f"labels of {task.name}: {known}{hint}"
