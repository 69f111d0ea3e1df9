"""Files of rows, read one row after the other: comma- and tab-separated, JSON lines, and plain lines."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ee_lightning.data.columns import Chooser, Columns
from ee_lightning.errors import DataError, hint_for


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded; halves of surrogate pairs can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def half_a_pair(text: str) -> str:
    """Say which half of a surrogate pair, which is no character, a text that is no Unicode holds."""
    return f"{_first_half(text)!a}, half of a surrogate pair"


def _first_half(text: str) -> str:
    return next(character for character in text if not is_unicode(character))


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
    if is_unicode(text):
        return None
    if "\udc80" <= _first_half(text) <= "\udcff":
        return Bad("it is not UTF-8", hint="get the file again, or convert it to UTF-8")
    return Bad(f"{name} is no Unicode: it holds {half_a_pair(text)}", hint="write whole characters")


Fields = tuple[Any, ...] | Bad
"""The chosen fields of a row, in the order of `Columns.names`, or what is wrong with it."""


class RowFile(ABC):
    """A file of rows, of which a part at a time is in memory.

    Args:
        path: The file.

    Attributes:
        done: How much of it was read, in the unit of `size`.
        columns: What is read of it; None until that is chosen.

    Raises:
        DataError: It can't be opened.
    """

    unit = "line"

    def __init__(self, path: Path) -> None:
        self.path, self.done = path, 0
        self.columns: Columns | None = None

    @property
    @abstractmethod
    def size(self) -> int:
        """The size of the file, in bytes or rows."""

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
        super().__init__(path)
        self._line = 0
        with _opened(path):
            pass

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self.path.stat().st_size

    def rows(self, choose: Chooser) -> Iterator[tuple[int, Fields]]:
        """Read the rows, each with the number of its first line."""
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


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
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
        self.columns = choose(header, self.path)
        places = [header.index(name) for name in self.columns.names]
        for line, cells in rows:
            if isinstance(cells, Bad):
                yield line, cells
            elif len(cells) == len(header):
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

    def _records(self, lines: Iterator[str], choose: Chooser) -> Iterator[tuple[int, Fields]]:
        return ((self._line, self._fields(line, choose)) for line in lines if line.strip())

    def _fields(self, line: str, choose: Chooser) -> Fields:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return Bad(f"it is no JSON: {error}", hint="write one JSON object a line")
        if not isinstance(row, dict):
            return Bad("it is no JSON object", hint='write rows such as {"text": "…", "label": "…"}')
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

    def _records(self, lines: Iterator[str], choose: Chooser) -> Iterator[tuple[int, Fields]]:
        if len(choose.texts[0]) > 1:
            raise DataError(
                "a .txt file holds one text a line, and two are needed",
                where=self.path,
                hint="use .csv, .tsv, .jsonl or .parquet, with a column for each",
            )
        self.columns = choose(choose.texts[0], self.path)
        yield from ((self._line, (_without_end(line),)) for line in lines)


LINE_FILES: dict[str, type[LineFile]] = {".csv": TableFile, ".tsv": TableFile, ".jsonl": JsonLines, ".txt": PlainLines}
PARQUET = ".parquet"


def open_row_file(path: Path) -> RowFile:
    """Open a file of rows, of the kind that its ending says.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be read.
    """
    ending = path.suffix.lower()
    if ending not in (*LINE_FILES, PARQUET):
        known = ", ".join((*LINE_FILES, PARQUET))
        raise DataError(f"it is not known how to read {str(path)!r}", where=path, hint=f"use a file in {known}")
    if not path.is_file():
        raise DataError("there is no such file", where=path, hint="check the name")
    if ending == PARQUET:
        from ee_lightning.data.arrow_files import ParquetFile  # which takes a second to import

        return ParquetFile(path)
    return LINE_FILES[ending](path)
