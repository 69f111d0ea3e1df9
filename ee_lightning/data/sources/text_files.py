"""Splits in text files: tab-separated as GLUE writes them, comma-separated, and JSON lines."""

import logging
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from ee_lightning.data.sources.table import Choose, Columns, Table
from ee_lightning.errors import DataError
from ee_lightning.rows import Bad, Ragged, flaw_of, open_lines, read_records, refuse_two_columns

KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}
NO_KIND = "neither text nor a number"
LISTS = {str: "a list of texts", bool: "a list of truth values", int: "a list of numbers", float: "a list of numbers"}
EMPTY = "a list of labels"
"""What an empty list is, which goes with every kind."""

MOST_LISTED = 5
LARGEST = 2**53
"""Up to here whole numbers and floats, which may stand in one column, are the same."""
log = logging.getLogger(__name__)


def read_text_file(path: Path, choose: Choose, names: Sequence[str] = (), *, skips_ragged: bool = False) -> Table:
    """Read a split; see `read_records` for the kinds of files. The first row of a `.jsonl` tells its columns.

    Args:
        path: The file, in UTF-8.
        choose: Picks the columns that are read.
        names: The columns of a `.tsv` without a header line; without them the first line names the columns.
        skips_ragged: Leave rows with too few or too many cells out, and say how many, instead of refusing the file.

    Raises:
        DataError: The file can't be read, has no rows or not the columns, or a row is ragged, isn't UTF-8, lacks a
            column or has another kind of value in it than the rows before; its line is named.
    """
    values: dict[str, list[Any]] = {}
    kinds: dict[str, str] = {}
    rows, ragged = array("q"), array("q")  # the numbers of their lines
    numbers = array("q")
    with open_lines(path) as lines:
        header, records = read_records(lines, path.suffix.lower(), names)
        columns = None if header is None else _chosen(choose, header, path)
        for number, (line, row) in enumerate(records):
            if skips_ragged and isinstance(row, Ragged):
                ragged.append(line)
                continue
            if isinstance(row, dict):
                columns = columns or _chosen(choose, [*row], path)
                bad = _append(values, kinds, row, columns)
            else:
                bad = row
            if bad is not None:
                mend = _mend_without_header(names) if names and isinstance(bad, Ragged) else bad.mend
                raise DataError(bad.reason, where=lines.place(line), mend=mend)
            rows.append(line)
            numbers.append(number)
    if columns is None or not rows:
        raise DataError("the file has no rows", where=path, mend="get the file anew")
    if ragged:
        listed = ", ".join(map(str, ragged[:MOST_LISTED])) + (", …" if len(ragged) > MOST_LISTED else "")
        log.warning("%s: %d rows have too few or too many cells and are left out: lines %s", path, len(ragged), listed)
    in_file = np.asarray(numbers, np.int64) if ragged else None  # [rows]
    return Table(Dataset.from_dict(values), columns, lambda row: f"{path}, line {rows[row]}", in_file)


def begins_with_header(path: Path, choose: Choose) -> bool:
    """Whether the first line of a `.tsv` names columns that can be read.

    Args:
        path: The file.
        choose: Picks the columns that are read.

    Raises:
        DataError: The file can't be read.
    """
    with open_lines(path) as lines:
        cells = next(lines, "").rstrip("\r\n").split("\t")
    try:
        choose(cells, path)
    except DataError:
        return False
    return True


def _mend_without_header(names: Sequence[str]) -> str:
    return (
        f"the official file has no header and these {len(names)} columns; a .tsv or .csv that begins with a line of "
        "column names may have others, if the texts and the label are among them"
    )


def _chosen(choose: Choose, header: Sequence[str], path: Path) -> Columns:
    columns = choose(header, path)
    refuse_two_columns(header, columns.names, path)
    return columns


def _append(values: dict[str, list[Any]], kinds: dict[str, str], row: dict[str, Any], columns: Columns) -> Bad | None:
    """Take the fields of a row, or say what is wrong with one."""
    for name in columns.names:
        if (bad := _flaw(row, name, kinds, is_label=name == columns.label)) is not None:
            return bad
        values.setdefault(name, []).append(row[name])
    return None


def _flaw(row: dict[str, Any], name: str, kinds: dict[str, str], *, is_label: bool) -> Bad | None:
    """Say what is wrong with a field, if anything; without a flaw its kind is that of its column from now on."""
    if name not in row:
        return Bad(f"the row lacks {name!r}", mend=f"it has {', '.join(row)}")
    kind = _kind(row[name], is_label=is_label)
    expected = kinds.get(name, kind)
    is_alike = kind == expected or (EMPTY in (kind, expected) and {kind, expected} <= {EMPTY, *LISTS.values()})
    if not is_alike or kind == NO_KIND:
        wanted = f", and was {expected} in the rows before" if name in kinds else ""
        return Bad(f"{name!r} is {kind}{wanted}", mend="give a column one kind of value")
    kinds[name] = expected if kind == EMPTY else kind
    entries = row[name] if isinstance(row[name], list) else [row[name]]
    if any(isinstance(number, int) and abs(number) > LARGEST for number in entries):
        return Bad(f"{name!r} is {row[name]}, too large for a number", mend="write it as a text, in quotes")
    return next((flaw for entry in entries if isinstance(entry, str) and (flaw := flaw_of(name, entry))), None)


def _kind(value: Any, *, is_label: bool) -> str:
    if is_label and isinstance(value, list):
        kinds = {LISTS.get(type(entry), NO_KIND) for entry in value} or {EMPTY}
        return kinds.pop() if len(kinds) == 1 else NO_KIND
    return KINDS.get(type(value), NO_KIND)
