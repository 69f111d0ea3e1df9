"""Files of rows and the columns that are read of them: comma- and tab-separated, JSON lines, and plain lines."""

import csv
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from typing_extensions import override

from ee_lightning.data.tasks import Task
from ee_lightning.errors import DataError, hint_for

USUAL_TEXTS = {1: (("sentence",), ("text",)), 2: (("sentence1", "sentence2"), ("premise", "hypothesis"))}
USUAL_LABELS = (("label",), ("gold_label",))


@dataclass(frozen=True)
class Columns:
    """What to read of a file.

    Args:
        texts: The columns with text, one or two.
        label: The column with the label; None where rows have none.
        label_columns: The columns of 0 and 1 in its place, one for each label.
    """

    texts: tuple[str, ...]
    label: str | None = None
    label_columns: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, the texts first."""
        return (*self.texts, *self.label_columns) if self.label is None else (*self.texts, self.label)


@dataclass(frozen=True)
class Chooser:
    """Picks the columns to read from those that a file has; of several names the first that are there count.

    Args:
        texts: What its text, or its two texts, may be called.
        labels: What its label may be called, or its columns of 0 and 1, one for each label; none where no labels are
            read.
        needs_label: Whether a file without any label column is an error.
        advice: What to do where a column is missing.
        whole: Whether whole rows are wanted too, see `RowFile.row`.
    """

    texts: Sequence[tuple[str, ...]]
    labels: Sequence[tuple[str, ...]] = ()
    needs_label: bool = True
    advice: str = ""
    whole: bool = False

    def __call__(self, header: Sequence[str], where: object) -> Columns:
        """Pick the columns.

        Raises:
            DataError: One is not there, or there are two of its name, or of any name where whole rows are wanted.
        """
        if self.whole:
            self._refuse_doubles([name for name in header if name], header, where)
        texts = self._found(self.texts, header, where)
        has_any = any(name in header for names in self.labels for name in names)
        if not (self.labels and (self.needs_label or has_any)):
            return Columns(texts)
        label = self._found(self.labels, header, where)
        return Columns(texts, label[0]) if len(label) == 1 else Columns(texts, None, label)

    def _found(self, choices: Sequence[tuple[str, ...]], header: Sequence[str], where: object) -> tuple[str, ...]:
        there = f"it has the columns {', '.join(header)}"
        names = next((names for names in choices if {*names} <= {*header}), None)
        if names is None:
            missing = next(name for name in choices[0] if name not in header)
            is_torn = len(header) == 1 and any(separator in header[0] for separator in "\t;,|")
            torn = ", which looks like several: a .csv has commas between its cells, and a .tsv tabs" if is_torn else ""
            raise DataError(f"no column {missing!r}", where=where, hint=f"{there}{torn}; {self.advice}")
        self._refuse_doubles(names, header, where)
        return names

    @staticmethod
    def _refuse_doubles(names: Sequence[str], header: Sequence[str], where: object) -> None:
        if double := next((name for name in names if header.count(name) > 1), None):
            hint = f"it has the columns {', '.join(header)}; give each another name"
            raise DataError(f"there are two columns {double!r}", where=where, hint=hint)


def choose_columns(task: Task, split: str) -> Chooser:
    """Return what picks the columns of a local file.

    A task of the table is read by its official columns, by those on the hub, or by the usual names of texts and labels;
    a custom task by the columns that were given. Only a test split may lack the label.
    """
    texts, labels = [task.text_columns], [task.label_columns or (task.label_column,)]
    if task.glue is not None:
        texts, labels = [task.glue.text_columns or task.text_columns, *texts], [(task.glue.label_column,), *labels]
    if task.hub_path is not None:
        texts, labels = [*texts, *USUAL_TEXTS[len(task.text_columns)]], [*labels, *USUAL_LABELS]
    known = [" or ".join(dict.fromkeys("+".join(names) for names in choices)) for choices in (texts, labels)]
    option = f"--data.own.{'label_columns' if task.label_columns else 'label_column'}"
    others = "" if task.hub_path else f"; name others with --data.own.text_columns and {option}"
    advice = f"task {task.name} reads {' with '.join(known)}{others}"
    return Chooser(texts, labels, needs_label=split != "test", advice=advice)


def surrogate_in(text: str) -> str | None:
    """Return the first half of a surrogate pair in a text, which is no character and can't be encoded; else None."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[error.start]
    return None


@dataclass(frozen=True)
class Bad:
    """A row that can't be read.

    Attributes:
        reason: What is wrong with it.
        hint: What to do about it.
    """

    reason: str
    hint: str


class Ragged(Bad):
    """A row with too few or too many cells."""


def flaw_of(name: str, text: str) -> Bad | None:
    """Return what is wrong with the characters of a field, if anything; `surrogateescape` stands for no UTF-8."""
    if (half := surrogate_in(text)) is None:
        return None
    if "\udc80" <= half <= "\udcff":
        return Bad("it is not UTF-8", hint="get the file again, or convert it to UTF-8")
    return Bad(f"{name} is no Unicode: it holds {half!a}, half of a surrogate pair", hint="write whole characters")


Fields = tuple[Any, ...] | Bad
"""The chosen fields of a row, in the order of `Columns.names`, or what is wrong with it."""


class RowFile(ABC):
    """A file of rows, of which a part at a time is in memory.

    Attributes:
        size: Its size, in bytes or rows.
        done: How much of it was read, in the unit of `size`.
        columns: What is read of it; None until that is chosen.
        header: All columns of a file that names them before its rows, with their types in Arrow where it has such, and
            None for texts; empty until the columns are chosen.
        row: The row that was read last, by column; of a Parquet file what is read of it, unless whole rows are wanted.

    Raises:
        DataError: It can't be opened.
    """

    unit = "line"

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size, self.done = path, size, 0
        self.columns: Columns | None = None
        self.header: Mapping[str, Any] = {}
        self.row: Mapping[str, Any] = {}

    @abstractmethod
    def rows(self, choose: Chooser) -> Iterator[tuple[int, Fields]]:
        """Read the rows as they are asked for, each with the number of its first line or its own, from 1.

        Raises:
            DataError: The file can't be read, or has not the columns.
        """

    def place(self, number: int) -> str:
        """Name a row by its number, as an error does."""
        return f"{self.path}, {self.unit} {number}"

    def _checked(self, fields: tuple[Any, ...]) -> Fields:
        """Return the fields of a row if its texts are texts."""
        assert self.columns is not None
        for name, text in zip(self.columns.texts, fields, strict=False):
            if not isinstance(text, str):
                hint = "give every row its texts" if text is None else "put texts into quotes, or name another column"
                return Bad(f"{name!r} is {json.dumps(text):.40}, and no text", hint)
            if (flaw := flaw_of(name, text)) is not None:
                return flaw
        return fields


class LineFile(RowFile):
    """A text file in UTF-8. Blank lines are no rows, but in ``.txt``; the last line may lack its end."""

    def __init__(self, path: Path) -> None:
        self._line = 0
        with _opened(path) as file:
            super().__init__(path, size=os.fstat(file.fileno()).st_size)

    @override
    def rows(self, choose: Chooser) -> Iterator[tuple[int, Fields]]:
        for line, row in self._records(self._lines(), choose):
            yield line, row if isinstance(row, Bad) else self._checked(row)

    @abstractmethod
    def _records(self, lines: Iterator[str], choose: Chooser) -> Iterator[tuple[int, Fields]]:
        """Choose the columns, and split the lines into rows."""

    def _lines(self) -> Iterator[str]:
        r"""Read the lines with their ends, `\n` or `\r\n`; sentences may hold what Unicode calls a line separator."""
        self.done = self._line = 0
        with _opened(self.path) as file:
            for self._line, line in enumerate(file, start=1):
                self.done += len(line)
                content = line.removeprefix(b"\xef\xbb\xbf") if self._line == 1 else line  # a byte-order mark
                yield content.decode("utf-8", "surrogateescape")


def is_standard_input(path: Path) -> bool:
    """Whether a name stands for standard input: ``-``, or with the ending of what comes, as ``-.jsonl``."""
    return path.name == str(path) and path.stem == "-"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with nullcontext(sys.stdin.buffer) if is_standard_input(path) else path.open("rb") as file:
            yield file
    except OSError as error:
        hint = hint_for(error, "check that the file is there and whole")
        raise DataError(f"the file can't be read: {error.strerror}", where=path, hint=hint) from error


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


LONGEST_CELL = 2**24
"""In characters: a quote that is never closed is read no further."""


class TableFile(LineFile):
    """Cells with commas between them, some in quotes and with several lines; or in a ``.tsv`` with tabs and no quotes.

    Args:
        path: The file.
        headerless: Its columns if its first line may be a row and does not name those to be read.
    """

    def __init__(self, path: Path, headerless: Sequence[str] = ()) -> None:
        super().__init__(path)
        self.headerless = headerless

    @override
    def _records(self, lines: Iterator[str], choose: Chooser) -> Iterator[tuple[int, Fields]]:
        rows = self._tsv_rows(lines) if self.path.suffix.lower() == ".tsv" else self._csv_rows(lines)
        first = next(rows, None)
        if first is None:
            raise DataError("the file has no rows", where=self.path, hint="get the file again: it is empty")
        line, cells = first
        hint = "give every row a cell for each column"
        if self.headerless and not self._names_columns(cells, choose):
            header, rows = list(self.headerless), chain([first], rows)
            hint = (
                f"the official file has no header and these {len(header)} columns; a .tsv or .csv that begins with a "
                "line of column names may have others, if the texts and the label are among them"
            )
        else:
            header = self._header(line, cells)
        self.columns, self.header = choose(header, self.path), dict.fromkeys(header)
        places = [header.index(name) for name in self.columns.names]
        for line, cells in rows:
            if isinstance(cells, Bad):
                yield line, cells
            elif len(cells) == len(header):
                self.row = dict(zip(header, cells, strict=True))
                yield line, tuple(cells[place] for place in places)
            else:
                yield line, Ragged(f"{len(cells)} cells where {len(header)} are expected: {', '.join(header)}", hint)

    def _names_columns(self, cells: list[str] | Bad, choose: Chooser) -> bool:
        with suppress(DataError):
            return not isinstance(cells, Bad) and bool(choose(cells, self.path))
        return False

    def _header(self, line: int, cells: list[str] | Bad) -> list[str]:
        flaws = [cells] if isinstance(cells, Bad) else [flaw for name in cells if (flaw := flaw_of("a name", name))]
        if isinstance(cells, Bad) or flaws:
            raise DataError(
                f"the first line does not name the columns: {flaws[0].reason}",
                where=self.place(line),
                hint="begin the file with a line of column names, in UTF-8",
            )
        return cells

    def _csv_rows(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str] | Bad]]:
        csv.field_size_limit(LONGEST_CELL)
        reader = csv.reader(lines, strict=True)
        while True:
            first_line = self._line + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                end = f", read to line {self._line}" if self._line > first_line else ""
                hint = 'double the quotes within a cell (""), and put the cell into quotes'
                yield first_line, Bad(f"it is no CSV: {error}{end}", hint)
                continue
            if cells:
                yield first_line, cells

    def _tsv_rows(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str] | Bad]]:
        return ((self._line, text.split("\t")) for line in lines if (text := _without_end(line)))


class JsonLines(LineFile):
    """A JSON object a line. The first that has columns which can be read tells which these are."""

    @override
    def _records(self, lines: Iterator[str], choose: Chooser) -> Iterator[tuple[int, Fields]]:
        return ((self._line, self._fields(line, choose)) for line in lines if line.strip())

    def _fields(self, line: str, choose: Chooser) -> Fields:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return Bad(f"it is no JSON: {error}", hint="write one JSON object a line")
        if not isinstance(row, dict):
            return Bad("it is no JSON object", hint='write rows such as {"text": "…", "label": "…"}')
        self.row = row
        if self.columns is not None and row.keys() >= {*self.columns.names}:
            return tuple(row[name] for name in self.columns.names)
        try:
            columns = choose([*row], self.path)
        except DataError as error:
            return Bad(error.what, error.hint or "")
        self.columns = known = self.columns or columns
        if missing := known.names[len(columns.names) :]:  # labels, which all rows of a test split have or none
            return Bad(f"the row lacks {missing[0]!r}", hint=f"it has {', '.join(row)}")
        return tuple(row[name] for name in columns.names[: len(known.names)])


class PlainLines(LineFile):
    """A text a line, which is empty where the line is."""

    @override
    def _records(self, lines: Iterator[str], choose: Chooser) -> Iterator[tuple[int, Fields]]:
        if len(choose.texts[0]) > 1:
            raise DataError(
                "a .txt file holds one text a line, and two are needed",
                where=self.path,
                hint="use .csv, .tsv, .jsonl or .parquet, with a column for each",
            )
        self.columns = choose(choose.texts[0], self.path)
        self.header = dict.fromkeys(self.columns.texts)
        for line in lines:
            text = _without_end(line)
            self.row = {self.columns.texts[0]: text}
            yield self._line, (text,)


LINE_FILES: dict[str, type[LineFile]] = {".csv": TableFile, ".tsv": TableFile, ".jsonl": JsonLines, ".txt": PlainLines}
PARQUET = ".parquet"


def open_row_file(path: Path) -> RowFile:
    """Open a file of rows, of the kind that its ending says, or standard input, which holds lines if no ending does.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be read.
    """
    is_stream = is_standard_input(path)
    ending = path.suffix.lower() or (".txt" if is_stream else "")
    endings = tuple(LINE_FILES) if is_stream else (*LINE_FILES, PARQUET)
    if ending not in endings:
        known = ", ".join(endings)
        raise DataError(f"it is not known how to read {str(path)!r}", where=path, hint=f"use a file in {known}")
    if not (is_stream or path.is_file()):
        raise DataError("there is no such file", where=path, hint="check the name")
    if ending == PARQUET:
        from ee_lightning.data.arrow_files import ParquetFile  # which takes a second to import

        return ParquetFile(path)
    return LINE_FILES[ending](path)
