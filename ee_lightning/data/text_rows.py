"""Rows of text files, one by one: comma- and tab-separated, JSON lines, and plain lines."""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

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
    return f"{first_half(text)!a}, half of a surrogate pair"


def is_undecoded(text: str) -> bool:
    """Whether a text that is no Unicode holds bytes that `surrogateescape` let through."""
    return "\udc80" <= first_half(text) <= "\udcff"


def first_half(text: str) -> str:
    """Return the first half of a surrogate pair in a text that is no Unicode."""
    return next(character for character in text if not is_unicode(character))


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Lines(Iterator[str]):
    r"""The lines of a file, with their ends, which are `\n` or `\r\n`; bytes that are not UTF-8 become surrogates.

    Lines end with `\n` only: sentences may hold what Unicode calls a line separator. A byte-order mark is left out.

    Attributes:
        number: The number of the last line read, from 1.
        num_bytes: How many bytes were read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = self.num_bytes = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    def place(self, line: int) -> str:
        """Name a line, counted from 1, as an error does."""
        return f"{self.name}, line {line}"

    def __next__(self) -> str:
        """Read a line."""
        line = self._file.readline()
        if not line:
            raise StopIteration
        self.number, self.num_bytes = self.number + 1, self.num_bytes + len(line)
        return (line.removeprefix(_BYTE_ORDER_MARK) if self.number == 1 else line).decode("utf-8", "surrogateescape")


@contextmanager
def open_lines(path: Path) -> Iterator[Lines]:
    """Open a file of lines.

    Args:
        path: The file.

    Raises:
        DataError: It can't be read.
    """
    try:
        with path.open("rb") as file:
            yield Lines(file)
    except OSError as error:
        hint = hint_for(error, "check that the file is there and whole")
        raise DataError(f"the file can't be read: {error.strerror}", where=path, hint=hint) from error


def without_end(line: str) -> str:
    r"""Take the end off a line: `\n` or `\r\n`."""
    return line.removesuffix("\n").removesuffix("\r")


LONGEST_CELL = 2**24
"""In characters: a quote that is never closed is read no further."""

ENDINGS = (".csv", ".tsv", ".jsonl", ".txt")


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


class Records(NamedTuple):
    """The rows of a file.

    Attributes:
        header: Its columns; None where every row names its own.
        rows: Of each row the number of its first line, from 1, and its fields by their columns, or what is wrong.
    """

    header: list[str] | None
    rows: Iterator[tuple[int, dict[str, Any] | Bad]]


_Cells = Iterator[tuple[int, list[str] | Bad]]


def read_records(lines: Lines, ending: str, names: Sequence[str] = ()) -> Records:
    """Read the rows of a file as they are asked for, whatever of them can be read.

    Blank lines are no rows, but in ``.txt``. Of the characters nothing is known yet: see `flaw_of`.

    Args:
        lines: The file.
        ending: Its kind: ``.csv``, comma-separated, cells may be quoted and have several lines; ``.tsv``,
            tab-separated, quotes are literal; ``.jsonl``, a JSON object a line; ``.txt``, a text a line.
        names: The columns of a ``.csv`` or ``.tsv`` without a header line; what the one of a ``.txt`` is called.

    Raises:
        DataError: The first line of a ``.csv`` or ``.tsv`` is missing, or does not name the columns.
    """
    if ending == ".jsonl":
        return Records(None, ((lines.number, _object(line)) for line in lines if line.strip()))
    if ending == ".txt":
        return Records(list(names), ((lines.number, {names[0]: without_end(line)}) for line in lines))
    cells = _csv_cells(lines) if ending == ".csv" else _tsv_cells(lines)
    header = list(names) or _header(cells, lines)
    return Records(header, _fields(cells, header))


def flaw_of(name: str, text: str) -> Bad | None:
    """Say what is wrong with the characters of a field, if anything.

    Args:
        name: Its column.
        text: What it holds.
    """
    if is_unicode(text):
        return None
    if is_undecoded(text):
        return Bad("it is not UTF-8", hint="get the file anew, or convert it to UTF-8")
    return Bad(f"{name} is no Unicode: it holds {half_a_pair(text)}", hint="write whole characters")


def refuse_two_columns(header: Sequence[str], names: Sequence[str], where: object) -> None:
    """Raise an error for a header in which a column that is to be read stands twice.

    Args:
        header: All columns of a file.
        names: Those to be read.
        where: The file, for the message.

    Raises:
        DataError: One stands there twice.
    """
    for name in names:
        if header.count(name) > 1:
            raise DataError(
                f"there are two columns {name}",
                where=where,
                hint=f"the columns are {', '.join(header)}; give each another name",
            )


def _csv_cells(lines: Lines) -> _Cells:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, strict=True)
    while True:
        first_line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            end = f", read to line {lines.number}" if lines.number > first_line else ""
            hint = 'double the quotes within a cell (""), and put the cell into quotes'
            yield first_line, Bad(f"it is no CSV: {error}{end}", hint)
            continue
        if cells:
            yield first_line, cells


def _tsv_cells(lines: Lines) -> _Cells:
    return ((lines.number, without_end(line).split("\t")) for line in lines if without_end(line))


def _header(cells: _Cells, lines: Lines) -> list[str]:
    line, header = next(cells, (0, None))
    if header is None:
        raise DataError("the file has no rows", where=lines.name, hint="get the file anew: it is empty")
    if isinstance(header, list):
        bad = next(filter(None, (flaw_of("a name", name) for name in header)), None)
        if bad is None:
            return header
        header = bad
    raise DataError(
        f"the first line does not name the columns: {header.reason}",
        where=lines.place(line),
        hint="begin the file with a line of column names, in UTF-8",
    )


def _fields(rows: _Cells, header: list[str]) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    for line, cells in rows:
        if isinstance(cells, Bad):
            yield line, cells
        elif len(cells) != len(header):
            reason = f"{len(cells)} cells where {len(header)} are expected: {', '.join(header)}"
            yield line, Ragged(reason, hint="give every row a cell for each column")
        else:
            yield line, dict(zip(header, cells, strict=True))


def _object(line: str) -> dict[str, Any] | Bad:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Bad(f"it is no JSON: {error}", hint="write one JSON object a line")
    if not isinstance(fields, dict):
        return Bad("it is no JSON object", hint='write rows such as {"text": "…", "label": "…"}')
    return fields
