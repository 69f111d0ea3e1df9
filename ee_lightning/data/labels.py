"""From the labels of a file, one a row, words or numbers, to those of the task, alike in all splits."""

import ast
import json
import re
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel
from numpy.typing import NDArray

from ee_lightning.data.arrow_files import Table
from ee_lightning.data.tasks import NO_LABEL, TASKS, Task, number_in, without_fraction
from ee_lightning.errors import DataError, listed

NO_AGREEMENT = ("-", None)  # what SNLI's files have where annotators did not agree


class Distinct:
    """The different labels of a column as it was read, [rows].

    Attributes:
        words: What they say, a text without outer blanks; None for a blank one, or a float that is no number.
        places: The number of each row's word, [rows].
    """

    def __init__(self, column: pa.ChunkedArray | pa.Array) -> None:
        distinct = pc.unique(column)
        self.words = [_cleaned(value) for value in distinct.to_pylist()]
        self.places: NDArray[np.int32] = pc.index_in(column, value_set=distinct).to_numpy()

    def first(self, is_meant: Iterable[bool]) -> int:
        """Return the first row that has one of some words, given for each word whether it is one of these."""
        return int(np.isin(self.places, np.flatnonzero([*is_meant])).argmax())


def _cleaned(label: Any) -> Any:
    if isinstance(label, str):
        return label.strip() or None
    return label if label == label else None


def word_of(label: Any) -> str:
    """Return a label as a word, a whole number without its fraction."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else without_fraction(str(label))


def in_order(words: Iterable[str]) -> list[str]:
    """Sort words, by their values if all of them are numbers."""
    ordered = sorted(words)
    values = {word: value for word in ordered if (value := number_in(word)) is not None}
    return sorted(ordered, key=values.__getitem__) if len(values) == len(ordered) else ordered


def read_labels(table: Table, task: Task, split: str) -> NDArray[Any]:
    """Return the task's number for every label, of `task.label_type`, [rows]; `task.unlabelled` where there is none.

    A label is one of the task's words, its number, or for regression a value; blanks around it do not count. There is
    none where -1 stands in a column of numbers or a cell of a test split is empty, and where the task knows rows that
    annotators did not agree on.

    Raises:
        DataError: A label is not one of the task's; its row is named.
    """
    if table.columns.label is None:
        return np.full(len(table.rows), task.unlabelled, dtype=task.label_type)
    distinct = _one_a_row(table, known=task.label_words)
    _refuse_words_among_numbers(distinct, table, task)
    feature = table.rows.features[table.columns.label]
    own_words = feature.names if isinstance(feature, ClassLabel) and task.score_range is None else None
    if unknown := [name for name in own_words or () if name not in task.label_words]:
        what = f"the labels belong to another task: {listed(feature.names)}"
        raise table.error(what, _hint(unknown[0], task))
    numbers = [_number_of(word, task, own_words, is_test=split == "test") for word in distinct.words]
    if None in numbers:
        row = distinct.first(number is None for number in numbers)
        word = distinct.words[distinct.places[row]]
        what = f"label {word!r} is {'unknown' if number_in(str(word)) is None else 'out of range'}"
        raise _no_label(table, row) if word is None else table.error(what, _hint(word, task), row)
    labels: NDArray[Any] = np.asarray(numbers, dtype=task.label_type)[distinct.places]  # [rows]
    return labels


def found_words(table: Table) -> list[str]:
    """Return the different labels of rows: in the data set's own order if it has one, else sorted.

    Raises:
        DataError: The column holds lists, or a row has no label.
    """
    if isinstance(feature := table.rows.features[table.columns.label], ClassLabel):
        return list(feature.names)
    distinct = _one_a_row(table, known=())
    if None in distinct.words:
        raise _no_label(table, distinct.first(word is None for word in distinct.words))
    return in_order({word_of(word) for word in distinct.words})


def _one_a_row(table: Table, known: Collection[str]) -> Distinct:
    """Return the labels of a column that holds neither lists nor texts that are lists, unless labels are called so."""
    column = table.column(table.columns.label)
    if pa.types.is_struct(column.type) or "binary" in str(column.type):
        what = f"the labels are of the type {column.type}, and neither words nor numbers"
        raise table.error(what, "write each as a word or a number")
    row = 0
    if not pa.types.is_nested(column.type):
        distinct = Distinct(column)
        texts = [word if isinstance(word, str) and word not in known else "" for word in distinct.words]
        is_list = [words_in(text) is not None for text in texts]
        if not any(is_list):
            return distinct
        row = distinct.first(is_list)
    hint = "for any number of labels per row give --data.own.multi_label true"
    raise table.error("the labels are lists, and a row of this task has one label", hint, row)


def _number_of(word: Any, task: Task, own_words: list[str] | None, *, is_test: bool) -> float | None:
    """Return the number of a label, `task.unlabelled` where it means none, and None where it is not known."""
    value: float | None
    if word in NO_AGREEMENT and task.skips_unlabelled:
        return task.unlabelled
    if word is None:
        value, is_absent = None, is_test
    elif isinstance(word, str):
        spelt = task.spelt(word)
        value = task.label_words.get(spelt) if task.score_range is None else number_in(word)
        is_absent = is_test and spelt == str(NO_LABEL)
    elif isinstance(word, bool):
        value, is_absent = task.label_words.get(str(word)), False
    else:
        is_absent = word == NO_LABEL
        if task.score_range is not None:
            value = word
        elif own_words is None:
            value = task.label_words.get(word_of(word))
        else:
            value = task.label_words[own_words[int(word)]] if 0 <= word < len(own_words) else None
    if value is not None and task.accepts(value):
        return value
    return task.unlabelled if is_absent else None


def _refuse_words_among_numbers(distinct: Distinct, table: Table, task: Task) -> None:
    if task.score_range is not None or not all(isinstance(word, str | None) for word in distinct.words):
        return
    words = [None if word is None else task.spelt(word) for word in distinct.words]
    names = [word in task.name_words for word in words]
    numbers = [word in task.label_words and not is_name for word, is_name in zip(words, names, strict=True)]
    if any(numbers) and any(names):
        what = "labels are words in some rows and numbers in others, as if two tasks were mixed up"
        hint = f"write all of them as words ({listed(task.label_names)}): numbers differ from task to task"
        raise table.error(what, hint, max(distinct.first(numbers), distinct.first(names)))


def _no_label(table: Table, row: int) -> DataError:
    return table.error("the row has no label", "give every row a label, or leave the row out", row)


def _hint(word: Any, task: Task) -> str:
    low, high = task.label_range
    numbers = task.label_words.keys() - task.name_words.keys()  # that may be written in place of names
    known = listed([f"{name} ({n})" if str(n) in numbers else name for n, name in enumerate(task.label_names)])
    others = [each.name for each in TASKS.values() if word in each.label_names and each.name != task.name]
    hint = f"; {word!r} is one of {', '.join(others)}" if others else ""
    return f"labels of {task.name}: {known or f'numbers from {low:g} to {high:g}'}{hint}"


LONGEST = 2**16
"""In characters: longer texts are not read as lists."""
_ENTRY = r"""\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[-+.\w]+)\s*"""
_FLAT = re.compile(rf"\[(?:\s*|{_ENTRY}(?:,{_ENTRY})*)\]", re.DOTALL)
_EMPTY = ("()", "{}", "set()")


def words_in(text: str) -> list[str] | None:
    """Return as words the entries of a list of texts, numbers or truth values as Python or JSON write it; else None.

    Example:
        >>> words_in("['fun', 'praise']"), words_in("[1, 0.0, true]"), words_in("[]"), words_in("fun")
        (['fun', 'praise'], ['1', '0', 'True'], [], None)
    """
    if len(text) > LONGEST or not _FLAT.fullmatch(text):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            entries = read(text)
        except (ValueError, SyntaxError):
            continue
        if all(isinstance(entry, str | int | float) for entry in entries):
            return [word_of(entry.strip() if isinstance(entry, str) else entry) for entry in entries]
    return None


def looks_like_a_list(text: str) -> bool:
    """Whether a text that is no list to `words_in` seems to be meant as one, or as a tuple or set.

    Example:
        >>> [looks_like_a_list(text) for text in ("['fun' 'praise']", "('fun',)", "[1 0 1]", "[sic]")]
        [True, True, True, False]
    """
    inside = text[1:-1].strip()
    if not (text[:1] + text[-1:] in ("[]", "()", "{}") and inside):
        return text in _EMPTY
    if text[0] == "[" and not {*inside} & {*"[]"}:
        return any(character.isspace() or character in ",'\"" for character in inside)
    return inside[0] in "'\"" or text[0] == inside[0] == "["
