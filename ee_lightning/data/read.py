"""Reads a split as rows of texts and a label, wherever it lies."""

import logging
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, Value
from datasets.table import InMemoryTable, concat_tables

from ee_lightning.data.arrow_files import NUMBER, UNASKED, Table, leave_rows
from ee_lightning.data.label_sets import read_label_sets
from ee_lightning.data.labels import read_labels
from ee_lightning.data.row_files import Bad, Chooser, Columns, Ragged, RowFile, flaw_of
from ee_lightning.data.tasks import Task
from ee_lightning.errors import DataError

TEXT_COLUMNS = ("text_a", "text_b")
TEXT_TYPES = ("string", "large_string")
log = logging.getLogger(__name__)


class Source(Protocol):
    """A place that the rows of one task can be read from."""

    def has(self, split: str) -> bool:
        """Whether a split, one of `SPLITS`, is there."""

    def load(self, split: str) -> Dataset:
        """Read a split, one of `SPLITS`, in its own order.

        Returns:
            A data set with the columns `text_a`, `text_b` for pairs only, and `label`, `Task.unlabelled` where a row
            has none; and `number`, the row's number in the `files`, where that is not its position.

        Raises:
            DataError: The split is missing, or something in it is wrong.
        """

    def files(self, split: str) -> list[str]:
        """Name the files that a split is read from, one of `SPLITS`, in order; the numbers of rows run through all."""


def build_rows(texts: Sequence[Sequence[str]], labels: Sequence[float], label_type: str = "int64") -> Dataset:
    """Put one or two columns of texts and the labels, of `Task.label_type`, together as a source does."""
    columns = dict(zip(TEXT_COLUMNS, texts, strict=False))
    features = Features({**{name: Value("string") for name in columns}, "label": Value(label_type)})
    return Dataset.from_dict({**columns, "label": labels}, features=features)


def rows_of(table: Table, task: Task, split: str) -> Dataset:
    """Return the columns of a table that `Source.load` returns; texts that lie on the disk stay there.

    Raises:
        DataError: A text is missing or a number, or a label is missing or not one of the task's.
    """
    for name in table.columns.texts:
        _check_texts(table, name, split)
    if task.multi_label:
        return _with_ours(table, read_label_sets(table, task, split))
    labels = read_labels(table, task, split)
    rows = _with_ours(table, pa.array(labels))
    is_labelled = labels != task.unlabelled  # [rows]
    if task.skips_unlabelled and is_labelled.any() and not is_labelled.all():
        log.info("%s, %s: %d rows without an agreed label are left out", task.name, split, int((~is_labelled).sum()))
        rows = leave_rows(rows, np.flatnonzero(is_labelled))
    return rows


def _with_ours(table: Table, labels: pa.Array) -> Dataset:
    """Return the texts under the names that they have in every source, and beside them the labels and numbers."""
    texts = table.rows.data.select(list(table.columns.texts)).rename_columns(TEXT_COLUMNS[: len(table.columns.texts)])
    beside = {"label": labels} if table.numbers is None else {NUMBER: table.numbers, "label": labels}
    return Dataset(concat_tables([texts, InMemoryTable(pa.table(beside))], axis=1), fingerprint=UNASKED)


def _check_texts(table: Table, name: str, split: str) -> None:
    dtype = getattr(table.rows.features[name], "dtype", "lists")
    texts = table.column(name)
    if texts.null_count and dtype in TEXT_TYPES:
        row = next(row for row, text in enumerate(_values(texts)) if text is None)
        raise table.error(f"the row has no {name!r}", "give every row its texts", row)
    if dtype not in TEXT_TYPES or (split == "train" and all(map(_is_number, _values(texts)))):
        what = f"column {name!r} holds {'numbers' if dtype in TEXT_TYPES else dtype}, and no texts"
        hint = "name the columns with the texts, for data of your own with --data.own.text_columns"
        raise table.error(what, hint)


def _values(column: pa.ChunkedArray) -> Iterable[str | None]:
    return (value.as_py() for chunk in column.chunks for value in chunk)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}
NULL = KINDS[type(None)]
"""What a missing value is, which goes with every kind: whether a label may be missing depends on the split."""
NO_KIND = "neither text nor a number"
LISTS = {str: "a list of texts", bool: "a list of truth values", int: "a list of numbers", float: "a list of numbers"}
EMPTY = "a list of labels"
"""What an empty list is, which goes with every kind of list."""

MOST_LISTED = 5
LARGEST = 2**53
"""Up to here whole numbers and floats, which may stand in one column, are the same."""


def read_text_file(file: RowFile, choose: Chooser, *, skips_ragged: bool = False) -> Table:
    """Read a split from a text file into memory.

    Args:
        file: The file.
        choose: Picks the columns that are read.
        skips_ragged: Leave rows with too few or too many cells out, and say how many, instead of refusing the file.

    Raises:
        DataError: The file can't be read, has no rows or not the columns; or a row can't be read or has another kind
            of label than the rows before, and its line is named.
    """
    values: dict[str, list[Any]] = {}
    kinds: dict[str, str] = {}
    lines, ragged, numbers = array("q"), array("q"), array("q")
    for number, (line, row) in enumerate(file.rows(choose)):
        if skips_ragged and isinstance(row, Ragged):
            ragged.append(line)
            continue
        flaw = row if isinstance(row, Bad) else _take(row, file.columns, values, kinds)
        if flaw is not None:
            raise DataError(flaw.reason, where=file.place(line), hint=flaw.hint)
        lines.append(line)
        numbers.append(number)
    if file.columns is None or not lines:
        raise DataError("the file has no rows", where=file.path, hint="get the file again")
    if ragged:
        listed = ", ".join(map(str, ragged[:MOST_LISTED])) + (", …" if len(ragged) > MOST_LISTED else "")
        log.warning(
            "%s: %d rows have too few or too many cells and are left out: lines %s", file.path, len(ragged), listed
        )
    in_file = np.asarray(numbers, np.int64) if ragged else None  # [rows]
    rows = Dataset(pa.table(values), fingerprint=UNASKED)
    return Table(rows, file.columns, lambda row: file.place(lines[row]), in_file)


def _take(
    row: tuple[Any, ...], columns: Columns | None, values: dict[str, list[Any]], kinds: dict[str, str]
) -> Bad | None:
    """Take the fields of a row, or return what is wrong with a label; its kind is that of its column from now on."""
    assert columns is not None
    for name, value in zip(columns.names, row, strict=True):
        if name not in columns.texts:
            kind = _kind(value, may_be_list=name == columns.label)
            expected = kinds.get(name, kind)
            both = {kind, expected}
            is_alike = len(both - {NULL}) < 2 or (EMPTY in both and both <= {EMPTY, *LISTS.values()})
            if not is_alike or kind == NO_KIND:
                before = f", and was {expected} in the rows before" if name in kinds else ""
                return Bad(f"{name!r} is {kind}{before}", hint="give a column one kind of value")
            kinds[name] = expected if kind == NULL or (kind == EMPTY and expected != NULL) else kind
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, str) and (flaw := flaw_of(name, entry)) is not None:
                    return flaw
                if isinstance(entry, int) and abs(entry) > LARGEST:
                    return Bad(f"{name!r} is {value}, too large for a number", hint="write it as a text, in quotes")
        values.setdefault(name, []).append(value)
    return None


def _kind(value: Any, *, may_be_list: bool) -> str:
    if may_be_list and isinstance(value, list):
        kinds = {LISTS.get(type(entry), NO_KIND) for entry in value} or {EMPTY}
        return kinds.pop() if len(kinds) == 1 else NO_KIND
    return KINDS.get(type(value), NO_KIND)
