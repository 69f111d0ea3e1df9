"""Reads a split from text files, Parquet files or saved data sets, as rows of texts and a label."""

import json
import logging
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, Value

from ee_lightning.data.batches import UNASKED, leave_rows, with_numbers
from ee_lightning.data.cache import blaming_cache, only_entry, quiet_progress
from ee_lightning.data.columns import Choose, Columns, Table
from ee_lightning.data.find_files import STATE, blaming, header_of, shared_columns
from ee_lightning.data.label_sets import read_label_sets
from ee_lightning.data.labels import read_labels
from ee_lightning.data.task import Task
from ee_lightning.data.text_rows import Bad, Ragged, flaw_of, open_lines, read_records, refuse_two_columns
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
    """Put texts and labels together.

    Args:
        texts: One or two columns, each of one text a row.
        labels: One label a row.
        label_type: The task's `Task.label_type`.

    Returns:
        A data set with the columns `text_a`, `text_b` where two text columns were given, and `label`.
    """
    columns = dict(zip(TEXT_COLUMNS, texts, strict=False))
    features = Features({**{name: Value("string") for name in columns}, "label": Value(label_type)})
    return Dataset.from_dict({**columns, "label": labels}, features=features)


def rows_of(table: Table, task: Task, split: str) -> Dataset:
    """Convert a table to the columns that every source returns; texts that lie on the disk stay there.

    Args:
        table: The rows as they were read.
        task: Their task.
        split: One of `SPLITS`.

    Returns:
        See `Source.load`.

    Raises:
        DataError: A text is missing or a number, or a label is missing or not one of the task's.
    """
    for name in table.columns.texts:
        _check_texts(table, name, split)
    if task.multi_label:
        return _texts_of(table).add_column("label", read_label_sets(table, task, split), new_fingerprint=UNASKED)
    labels = np.full(len(table.rows), task.unlabelled, dtype=task.label_type)
    if (column := table.columns.label) is not None:
        feature = table.rows.features[column]
        names = feature.names if isinstance(feature, ClassLabel) else None
        labels = read_labels(_arrow(table.rows, column), task, split, table.where, names)
    rows = _texts_of(table).add_column("label", pa.array(labels), new_fingerprint=UNASKED)
    is_labelled = labels != task.unlabelled  # [rows]
    if task.skips_unlabelled and is_labelled.any() and not is_labelled.all():
        log.info("%s, %s: %d rows without an agreed label are left out", task.name, split, int((~is_labelled).sum()))
        rows = leave_rows(rows, np.flatnonzero(is_labelled))
    return rows


def _texts_of(table: Table) -> Dataset:
    names_of_ours = dict(zip(table.columns.texts, TEXT_COLUMNS, strict=False))
    texts = table.rows.select_columns(list(table.columns.texts)).rename_columns(names_of_ours)
    return texts if table.numbers is None else with_numbers(texts, table.numbers)


def _check_texts(table: Table, name: str, split: str) -> None:
    dtype = getattr(table.rows.features[name], "dtype", "lists")
    texts = _arrow(table.rows, name)
    if texts.null_count and dtype in TEXT_TYPES:
        row = next(row for row, text in enumerate(_values(texts)) if text is None)
        raise DataError(f"the row has no {name!r}", where=table.where(row), hint="give every row its texts")
    if dtype not in TEXT_TYPES or (split == "train" and all(map(_is_number, _values(texts)))):
        raise DataError(
            f"column {name!r} holds {'numbers' if dtype in TEXT_TYPES else dtype}, and no texts",
            where=table.where(0),
            hint="name the columns with the texts, for data of your own with --data.own.text_columns",
        )


def _arrow(rows: Dataset, name: str) -> pa.ChunkedArray:
    return rows.select_columns([name]).with_format("arrow")[:].column(name)


def _values(column: pa.ChunkedArray) -> Iterable[str | None]:
    return (value.as_py() for chunk in column.chunks for value in chunk)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}
NO_KIND = "neither text nor a number"
LISTS = {str: "a list of texts", bool: "a list of truth values", int: "a list of numbers", float: "a list of numbers"}
EMPTY = "a list of labels"
"""What an empty list is, which goes with every kind."""

MOST_LISTED = 5
LARGEST = 2**53
"""Up to here whole numbers and floats, which may stand in one column, are the same."""


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
                hint = _hint_without_header(names) if names and isinstance(bad, Ragged) else bad.hint
                raise DataError(bad.reason, where=lines.place(line), hint=hint)
            rows.append(line)
            numbers.append(number)
    if columns is None or not rows:
        raise DataError("the file has no rows", where=path, hint="get the file anew")
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


def _hint_without_header(names: Sequence[str]) -> str:
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
        return Bad(f"the row lacks {name!r}", hint=f"it has {', '.join(row)}")
    kind = _kind(row[name], is_label=is_label)
    expected = kinds.get(name, kind)
    is_alike = kind == expected or (EMPTY in (kind, expected) and {kind, expected} <= {EMPTY, *LISTS.values()})
    if not is_alike or kind == NO_KIND:
        wanted = f", and was {expected} in the rows before" if name in kinds else ""
        return Bad(f"{name!r} is {kind}{wanted}", hint="give a column one kind of value")
    kinds[name] = expected if kind == EMPTY else kind
    entries = row[name] if isinstance(row[name], list) else [row[name]]
    if any(isinstance(number, int) and abs(number) > LARGEST for number in entries):
        return Bad(f"{name!r} is {row[name]}, too large for a number", hint="write it as a text, in quotes")
    return next((flaw for entry in entries if isinstance(entry, str) and (flaw := flaw_of(name, entry))), None)


def _kind(value: Any, *, is_label: bool) -> str:
    if is_label and isinstance(value, list):
        kinds = {LISTS.get(type(entry), NO_KIND) for entry in value} or {EMPTY}
        return kinds.pop() if len(kinds) == 1 else NO_KIND
    return KINDS.get(type(value), NO_KIND)


def read_parquet(paths: Sequence[Path], choose: Choose) -> Table:
    """Read a split of one Parquet file or several; it is kept in the cache until a file changes.

    Args:
        paths: The files, in order, with the same columns; what columns a file without rows has does not matter.
        choose: Picks the columns that are read.

    Raises:
        DataError: A file is damaged, its columns are not those of the others, there are no rows or not the columns, or
            a text or label is not UTF-8; or the cache can't be used.
    """
    place = paths[0] if len(paths) == 1 else paths[0].parent
    headers = [header_of(path) for path in paths]
    filled = [header for header in headers if header.num_rows]
    columns = shared_columns(filled or headers[:1], choose)
    if not filled:
        raise DataError("the file has no rows", where=place, hint="get the file anew")
    with blaming(place), quiet_progress(sum(header.num_rows for header in filled)):
        kept_in = only_entry(paths, columns.names)
        with blaming_cache():
            names = [str(header.path) for header in filled]
            rows = Dataset.from_parquet(names, cache_dir=str(kept_in), columns=list(columns.names))
    return refuse_undecoded(Table(rows, columns, _counted(place)))


def read_saved(folder: Path, choose: Choose) -> Table:
    """Read a split that `Dataset.save_to_disk` wrote.

    Args:
        folder: The split's folder.
        choose: Picks the columns that are read.

    Raises:
        DataError: The folder is none of that kind or damaged, there are no rows or not the columns, or a text or label
            is not UTF-8.
    """
    with blaming(folder):
        if not (folder / STATE).is_file():
            hint = "name a file, or a folder that Dataset.save_to_disk wrote"
            raise DataError("the folder is no data set", where=folder, hint=hint)
        if not json.loads((folder / STATE).read_text(encoding="utf-8"))["_data_files"]:
            raise DataError("the folder has no rows", where=folder, hint="save the data set anew")
        rows = Dataset.load_from_disk(str(folder))
    columns = choose(rows.column_names, folder)
    return refuse_undecoded(Table(rows.select_columns(list(columns.names)), columns, _counted(folder)))


def refuse_undecoded(table: Table) -> Table:
    """Return a table as it is if its texts and labels are UTF-8, which Arrow takes on trust.

    Args:
        table: Rows that were read from Arrow or Parquet.

    Raises:
        DataError: Some are not; the row is named.
    """
    for name in table.columns.names:
        start = 0
        for chunk in table.rows.select_columns([name]).with_format("arrow")[:].column(name).chunks:
            if (row := _undecoded_row(chunk)) is not None:
                raise DataError(
                    f"{name!r} is not UTF-8",
                    where=table.where(start + row),
                    hint="get the data anew, or write them anew in UTF-8",
                )
            start += len(chunk)
    return table


def _undecoded_row(values: pa.Array) -> int | None:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return next((row for row, value in enumerate(values) if not _is_decoded(value)), None)
    return None


def _is_decoded(value: pa.Scalar) -> bool:
    try:
        value.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _counted(place: Path) -> Callable[[int], str]:
    return lambda row: f"{place}, row {row + 1}"
