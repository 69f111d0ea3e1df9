"""The kinds of files that rows of texts are read from, each a generator over the lines of a file."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ee_lightning.errors import DataError
from ee_lightning.inference.encoder import Texts, half_a_pair, is_unicode

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Bad:
    """What is wrong with a row."""

    reason: str


Rows = Iterator[tuple[int, Texts | Bad]]
"""Of each row the number of its first line, from 1, and its texts or what is wrong with it."""


class Lines(Iterator[str]):
    r"""The lines of a file, with their ends, which are ``\n`` or ``\r\n``; bytes that are not UTF-8 become surrogates.

    Attributes:
        number: The number of the last line read, from 1.
        num_bytes: How many bytes were read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = self.num_bytes = 0

    def place(self, line: int) -> str:
        """Name a line, counted from 1, as an error does."""
        return f"{self._file.name}, line {line}"

    def __next__(self) -> str:
        """Read a line."""
        line = self._file.readline()
        if not line:
            raise StopIteration
        self.number, self.num_bytes = self.number + 1, self.num_bytes + len(line)
        return (line.removeprefix(_BYTE_ORDER_MARK) if self.number == 1 else line).decode("utf-8", "surrogateescape")


def read_csv(lines: Lines, choices: Sequence[Texts]) -> Rows:
    """Read comma-separated rows below a line that names the columns; a quoted cell may have several lines."""
    return _table(_csv_cells(lines), choices, lines)


def read_tsv(lines: Lines, choices: Sequence[Texts]) -> Rows:
    """Read tab-separated rows, whose quotes are literal, below a line that names the columns."""
    rows = ((lines.number, _without_end(line).split("\t")) for line in lines if _without_end(line))
    return _table(rows, choices, lines)


def read_jsonl(lines: Lines, choices: Sequence[Texts]) -> Rows:
    """Read a JSON object a line."""
    for line in lines:
        if line.strip():
            yield lines.number, _of_json(line, choices)


def read_txt(lines: Lines, _choices: Sequence[Texts]) -> Rows:
    """Read a text a line."""
    return ((lines.number, (_without_end(line),)) for line in lines)


READERS: dict[str, Callable[[Lines, Sequence[Texts]], Rows]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    ".txt": read_txt,
}
"""By the ending of a file what gives its rows, told by which names the texts may go; the first that fit count."""


def _csv_cells(lines: Lines) -> Iterator[tuple[int, list[str] | Bad]]:
    reader = csv.reader(lines, strict=True)
    while True:
        first_line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            end = f", read to line {lines.number}" if lines.number > first_line else ""
            yield first_line, Bad(f"it is no CSV: {error}{end}")
            continue
        if cells:
            yield first_line, cells


def _table(rows: Iterator[tuple[int, list[str] | Bad]], choices: Sequence[Texts], lines: Lines) -> Rows:
    line, header = next(rows, (1, Bad("it is empty")))
    if isinstance(header, list) and not all(map(is_unicode, header)):
        header = Bad("it is not UTF-8")
    if isinstance(header, Bad):
        raise DataError(
            f"the first line does not name the columns: {header.reason}",
            where=lines.place(line),
            mend="begin the file with a line of column names, in UTF-8",
        )
    names = next((names for names in choices if set(names) <= set(header)), None)
    if names is None or any(header.count(name) > 1 for name in names):
        raise DataError(
            f"{'there is no column' if names is None else 'there are two columns'} {' and '.join(names or choices[0])}",
            where=lines.place(line),
            mend=f"the columns are {', '.join(header)}; name those of the texts with --text-columns",
        )
    places = [header.index(name) for name in names]
    for line, cells in rows:
        if isinstance(cells, Bad):
            yield line, cells
        elif len(cells) != len(header):
            yield line, Bad(f"it has {len(cells)} cells, and there are {len(header)} columns")
        else:
            yield line, tuple(cells[place] for place in places)


def _of_json(line: str, choices: Sequence[Texts]) -> Texts | Bad:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Bad(f"it is no JSON: {error}")
    if not isinstance(fields, dict):
        return Bad("it is no JSON object")
    names = next((names for names in choices if fields.keys() >= set(names)), None)
    if names is None:
        return Bad(f"it lacks {' or '.join(sorted(set(choices[0]) - fields.keys()))}")
    texts = tuple(fields[name] for name in names)
    for name, text in zip(names, texts, strict=True):
        if not isinstance(text, str):
            return Bad(f"{name} is {json.dumps(text):.40}, and no text")
        if is_unicode(line) and not is_unicode(text):
            return Bad(f"{name} is no Unicode: it holds {half_a_pair(text)}")
    return texts


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
