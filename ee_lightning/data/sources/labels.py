"""From the labels of a file, words or numbers, to those of the task."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ee_lightning.data.task import NO_LABEL, Task
from ee_lightning.data.tasks import TASKS
from ee_lightning.errors import DataError

NO_AGREEMENT = ("-", "")  # what SNLI's files have where annotators did not agree

Where = Callable[[int], str]


def read_labels(
    column: pa.ChunkedArray, task: Task, split: str, where: Where, names: Sequence[str] | None = None
) -> NDArray[Any]:
    """Give the task's number for every label.

    A label is one of the task's words, its number, or for regression a value. None is -1 in a column of numbers and in
    a test split, and where the task knows rows that annotators did not agree on.

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
    distinct = pc.unique(column)
    words = distinct.to_pylist()
    _refuse_words_among_numbers(words, column, task, where)
    numbers = _Numbers(task, split, _own_words(names, task, where))
    found = [numbers.of(word) for word in words]
    wrong = [word for word, number in zip(words, found, strict=True) if number is None]
    if wrong:
        row, word = min(((_first(column, word), word) for word in wrong), key=lambda each: each[0])
        raise DataError(_problem(word), where=where(row), mend=_mend(word, task))
    places = pc.index_in(column, value_set=distinct).to_numpy()  # [rows]
    labels: NDArray[Any] = np.asarray(found, dtype=task.label_type)[places]  # [rows]
    return labels


def refuse_lists(kind: pa.DataType, where: Where) -> None:
    """Refuse a column of lists, where a row has one label.

    Args:
        kind: The type of the column.
        where: Names the place of a row.

    Raises:
        DataError: It holds lists.
    """
    if pa.types.is_nested(kind):
        raise DataError(
            "the labels are lists, and a row of this task has one label",
            where=where(0),
            mend="for any number of labels a row give --data.own.multi_label true",
        )


class _Numbers:
    def __init__(self, task: Task, split: str, own_words: Sequence[str] | None) -> None:
        self.task, self.is_test, self.own_words = task, split == "test", own_words
        self.known = task.label_words

    def of(self, word: Any) -> float | None:
        """Give the number of a label, `task.unlabelled` where it means none, and None where it is not known."""
        if isinstance(word, str):
            if self.task.skips_unlabelled and word in NO_AGREEMENT:
                return self.task.unlabelled
            value = self.known.get(word) if self.task.score_range is None else _value(word)
            is_absent = self.is_test and word == str(NO_LABEL)
        elif isinstance(word, bool):
            value, is_absent = self.known.get(str(word)), False
        else:
            value, is_absent = None if word is None else self._of_number(word), word == NO_LABEL
        if value is not None and self.task.accepts(value):
            return value
        return self.task.unlabelled if is_absent else None

    def _of_number(self, number: float) -> float | None:
        if self.task.score_range is not None or not isfinite(number):
            return number
        if number != int(number):
            return self.known.get(str(number), number)
        if self.own_words is not None and 0 <= number < len(self.own_words):
            return self.known[self.own_words[int(number)]]
        return self.known.get(str(int(number)))


def _own_words(names: Sequence[str] | None, task: Task, where: Where) -> Sequence[str] | None:
    """Give the data set's words if they are the task's, and None if its numbers have to be taken as they are."""
    if names is None or task.score_range is not None:
        return None
    unknown = [name for name in names if name not in task.label_words]
    if not unknown:
        return names
    if len(unknown) == len(names) == task.num_classes:
        return None
    raise DataError(f"the labels are of another task: {', '.join(names)}", where=where(0), mend=_mend(unknown[0], task))


def _refuse_words_among_numbers(words: Sequence[Any], column: pa.ChunkedArray, task: Task, where: Where) -> None:
    if task.score_range is not None or not all(isinstance(word, str) for word in words):
        return
    numbers = [word for word in words if word not in {*task.label_names, *task.synonyms} and word in task.label_words]
    names = [word for word in words if word in task.label_names or word in task.synonyms]
    if numbers and names:
        by_number, by_name = (min(_first(column, word) for word in kind) for kind in (numbers, names))
        raise DataError(
            "labels are words in some rows and numbers in others, as if two tasks were mixed up",
            where=where(max(by_number, by_name)),
            mend=f"write all of them as words ({', '.join(task.label_names)}): numbers differ from task to task",
        )


def _problem(word: Any) -> str:
    if word is None or not str(word).strip():
        return "the row has no label"
    value = _value(word) if isinstance(word, str) else float(word)
    return f"label {word!r} is {'unknown' if value is None or not isfinite(value) else 'out of range'}"


def _mend(word: Any, task: Task) -> str:
    low, high = task.label_range
    known = ", ".join(task.label_words) or f"numbers from {low:g} to {high:g}"
    others = [each.name for each in TASKS.values() if word in each.label_names and each.name != task.name]
    hint = f"; {word!r} is one of {', '.join(others)}" if others else ""
    return f"labels of {task.name}: {known}{hint}"


def _first(column: pa.ChunkedArray, word: Any) -> int:
    if word is None:
        return int(pc.index(column.is_null(), True).as_py())
    if isinstance(word, float) and word != word:
        return int(pc.index(pc.is_nan(column), True).as_py())
    return int(pc.index(column, pa.scalar(word, type=column.type)).as_py())


def _value(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
