"""Labels as words: what a cell says, their order, and how a message lists them."""

import ast
import json
import re
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ee_lightning.data.task import Task, number_in, without_fraction

MOST_LISTED = 10


class Distinct:
    """The different labels of a column.

    Args:
        column: The labels as they were read, [rows].

    Attributes:
        words: What they say, a text without outer blanks; None for a blank one, or a float that is no number.
        places: The number of each row's word, [rows].
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        distinct = pc.unique(column)
        self.words = [_cleaned(value) for value in distinct.to_pylist()]
        self.places = pc.index_in(column, value_set=distinct).to_numpy()  # [rows]

    def first(self, is_meant: Iterable[bool]) -> int:
        """Return the first row that has one of some words.

        Args:
            is_meant: Whether each word is one of these.
        """
        return int(np.isin(self.places, np.flatnonzero([*is_meant])).argmax())


def word_of(label: Any) -> str:
    """Return a label as a word, a whole number without its fraction.

    Args:
        label: What a cell says.

    Example:
        >>> word_of(2.0), word_of("2.0"), word_of(0.5), word_of("two")
        ('2', '2', '0.5', 'two')
    """
    return str(int(label)) if isinstance(label, float) and label.is_integer() else without_fraction(str(label))


def in_order(words: Iterable[str]) -> list[str]:
    """Sort words, by their values if all of them are numbers.

    Args:
        words: Labels.

    Example:
        >>> in_order(["10", "2.5", "-3"]), in_order(["10", "2.5", "b"])
        (['-3', '2.5', '10'], ['10', '2.5', 'b'])
    """
    ordered = sorted(words)
    values = {word: value for word in ordered if (value := number_in(word)) is not None}
    return sorted(ordered, key=values.__getitem__) if len(values) == len(ordered) else ordered


def listed(words: Collection[str]) -> str:
    """List words in a message, the first of them if they are many.

    Args:
        words: What is to be listed.

    Example:
        >>> listed([*"abcdefghijklm"])
        'a, b, c, d, e, f, g, h, i, j and 3 more'
    """
    more = len(words) - MOST_LISTED
    return ", ".join([*words][:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def listed_labels(task: Task) -> str:
    """List a task's labels in a message, with the numbers that may be written in their place.

    Args:
        task: The task, which has labels.
    """
    numbers = task.label_words.keys() - task.name_words.keys()
    return listed([f"{name} ({n})" if str(n) in numbers else name for n, name in enumerate(task.label_names)])


def _cleaned(label: Any) -> Any:
    if isinstance(label, str):
        return label.strip() or None
    return label if label == label else None


LONGEST = 2**16
"""In characters: longer texts are not read as lists."""

_ENTRY = r"""\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[-+.\w]+)\s*"""
_FLAT = re.compile(rf"\[(?:\s*|{_ENTRY}(?:,{_ENTRY})*)\]", re.DOTALL)
_EMPTY = ("()", "{}", "set()")


def words_in(text: str) -> list[str] | None:
    """Return the entries of a list of texts, numbers or truth values in the notation of Python or JSON.

    Args:
        text: What a cell says.

    Returns:
        The entries as words; None if the text is no such list.

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

    Args:
        text: What a cell says.

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
