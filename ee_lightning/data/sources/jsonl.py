"""Files with a JSON object a line."""

import json
from array import array
from pathlib import Path
from typing import Any

from datasets import Dataset

from ee_lightning.data.sources.lines import read_lines
from ee_lightning.data.sources.table import Choose, Columns, Table
from ee_lightning.errors import DataError

KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}


def read_jsonl(path: Path, choose: Choose) -> Table:
    """Read a file whose every line is a JSON object; the first one tells which columns there are.

    Args:
        path: The file, in UTF-8.
        choose: Picks the columns that are read.

    Raises:
        DataError: The file can't be read, isn't UTF-8, has no rows or not the columns, or a line is no JSON object,
            lacks a column or has another kind of value in it than the lines before.
    """
    columns: Columns | None = None
    values: dict[str, list[Any]] = {}
    lines = array("q")
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        row = _object(line, where)
        if columns is None:
            columns = choose([*row], path)
            values = {name: [] for name in columns.names}
        for name, column in values.items():
            column.append(_value(row, name, column, where, is_label=name == columns.label))
        lines.append(number)
    if columns is None:
        raise DataError("the file has no rows", where=path, mend="get the file anew: it is empty")
    return Table(Dataset.from_dict(values), columns, lambda row: f"{path}, line {lines[row]}")


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is no JSON: {error}", where=where, mend="write one JSON object a line") from error
    if not isinstance(row, dict):
        raise DataError("it is no JSON object", where=where, mend='write rows such as {"text": "…", "label": "…"}')
    return row


def _value(row: dict[str, Any], name: str, before: list[Any], where: str, *, is_label: bool) -> Any:
    if name not in row:
        raise DataError(f"the row lacks {name!r}", where=where, mend=f"it has {', '.join(row)}")
    kind = _kind(row[name], is_label=is_label)
    expected = _kind(before[0], is_label=is_label) if before else kind
    if kind != expected or kind.startswith("neither"):
        wanted = f", and was {expected} in the rows before" if before else ""
        raise DataError(f"{name!r} is {kind}{wanted}", where=where, mend="give a column one kind of value")
    return row[name]


def _kind(value: Any, *, is_label: bool) -> str:
    if is_label and isinstance(value, list) and {type(entry) for entry in value} in (set(), {str}, {int}):
        return "a list of labels"
    return KINDS.get(type(value), "neither text nor a number")
