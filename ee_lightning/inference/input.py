"""Rows of texts from files, read as they are needed."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ee_lightning.data.text_rows import ENDINGS, Bad, Lines, flaw_of, open_lines, read_records, refuse_two_columns
from ee_lightning.errors import DataError
from ee_lightning.inference.encoder import Texts

MOST_LISTED = 10


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        number: Its number, from 0; rows that are left out count.
        texts: Its text, or its two.
    """

    number: int
    texts: Texts


class LeavesOut:
    """Leaves bad rows out, and counts them.

    Attributes:
        num_bad: How many rows were left out so far.
        bad: The first ten of them, place and reason.
    """

    def __init__(self) -> None:
        self.num_bad = 0
        self.bad: list[str] = []

    def leave_out(self, place: str, reason: str) -> None:
        """Count a row.

        Args:
            place: Where it stands.
            reason: What is wrong with it.
        """
        self.num_bad += 1
        if self.num_bad <= MOST_LISTED:
            self.bad.append(f"{place}: {reason}")


class RowFile(LeavesOut, ABC):
    """The texts of a file, gone through row by row, once.

    Args:
        path: The file.
        choices: By which names its text, or its two texts, may go; the first choice that is there counts.
        skip_bad_rows: Leave out rows that can't be read, and count them.
    """

    def __init__(self, path: str | Path, choices: Sequence[Texts], *, skip_bad_rows: bool = False) -> None:
        super().__init__()
        self.path, self.choices, self._skips = Path(path), choices, skip_bad_rows

    @property
    @abstractmethod
    def size(self) -> int:
        """The size of the file, in bytes or rows."""

    @property
    @abstractmethod
    def done(self) -> int:
        """How much of it was read."""

    @abstractmethod
    def records(self) -> Iterator[tuple[str, dict[str, Any] | Bad]]:
        """Yield of each row its place, as an error names it, and its fields by their columns, or what is wrong."""

    def __iter__(self) -> Iterator[Row]:
        """Read the rows.

        Raises:
            DataError: A row can't be read, and bad rows are not left out; or the file or its columns can't.
        """
        for number, (place, row) in enumerate(self.records()):
            texts = row if isinstance(row, Bad) else _texts_of(row, self.choices)
            if isinstance(texts, Bad):
                self._refuse(texts, place)
            else:
                yield Row(number, texts)

    def choose(self, header: Sequence[str], where: object) -> None:
        """Leave one choice alone: the first whose columns are there.

        Args:
            header: All columns of the file.
            where: What names them, for the message.

        Raises:
            DataError: None is there, or a column of it stands there twice.
        """
        names = next((names for names in self.choices if set(names) <= set(header)), None)
        if names is None:
            raise DataError(
                f"there is no column {' and '.join(self.choices[0])}",
                where=where,
                hint=f"the columns are {', '.join(header)}; name those of the texts with --text-columns",
            )
        refuse_two_columns(header, names, where)
        self.choices = [names]

    def _refuse(self, row: Bad, place: str) -> None:
        if not self._skips:
            raise DataError(
                f"a row can't be read: {row.reason}",
                where=place,
                hint=f"{row.hint}; or leave such rows out: --skip-bad-rows",
            )
        self.leave_out(place, row.reason)


def _texts_of(row: dict[str, Any], choices: Sequence[Texts]) -> Texts | Bad:
    names = next((names for names in choices if row.keys() >= set(names)), None)
    if names is None:
        return Bad(f"it lacks {' or '.join(sorted(set(choices[0]) - row.keys()))}", hint="give every row its texts")
    for name in names:
        if not isinstance(row[name], str):
            hint = "give every row its texts" if row[name] is None else "put texts into quotes"
            return Bad(f"{name} is {json.dumps(row[name]):.40}, and no text", hint)
        if (bad := flaw_of(name, row[name])) is not None:
            return bad
    return tuple(row[name] for name in names)


_PLAIN = ".txt"


class TextFile(RowFile):
    """The texts of a text file.

    By its ending a file is one of these, in UTF-8:

    - ``.csv``: comma-separated; the first line names the columns; cells may be quoted, and hold up to 16 million
      characters;
    - ``.tsv``: the same with tabs, and quotes are literal, as GLUE writes it;
    - ``.jsonl``: a JSON object a line;
    - ``.txt``: a text a line.

    Blank lines are no rows, but in ``.txt``, where they are empty texts. The last line may lack its end.

    Args:
        path: The file.
        choices: By which names its text, or its two texts, may go; the first choice that is there counts.
        skip_bad_rows: Leave out rows that can't be read, and count them.

    Raises:
        DataError: The file can't be opened, or two texts are asked of lines of one.
    """

    def __init__(self, path: str | Path, choices: Sequence[Texts], *, skip_bad_rows: bool = False) -> None:
        super().__init__(path, choices, skip_bad_rows=skip_bad_rows)
        self._ending = self.path.suffix.lower()
        self._lines: Lines | None = None
        with open_lines(self.path):
            pass
        if self._ending == _PLAIN and len(choices[0]) > 1:
            raise DataError(
                "a .txt file holds one text a line, and two are needed",
                where=path,
                hint="use .csv, .tsv, .jsonl or .parquet, with a column for each",
            )

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self.path.stat().st_size

    @property
    def done(self) -> int:
        """How many bytes of it were read."""
        return 0 if self._lines is None else self._lines.num_bytes

    def records(self) -> Iterator[tuple[str, dict[str, Any] | Bad]]:
        """Read the rows, each known by its first line."""
        with open_lines(self.path) as self._lines:
            header, rows = read_records(self._lines, self._ending, self.choices[0] if self._ending == _PLAIN else ())
            if header is not None:
                self.choose(header, self._lines.place(1))
            for line, row in rows:
                yield self._lines.place(line), row


_PARQUET = ".parquet"


def open_rows(path: Path, choices: Sequence[Texts], *, skip_bad_rows: bool = False) -> RowFile:
    """Open a file of rows.

    Args:
        path: The file.
        choices: By which names its text, or its two texts, may go; the first choice that is there counts.
        skip_bad_rows: Leave out rows that can't be read, and count them.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be read.
    """
    check_readable(path)
    if path.suffix.lower() == _PARQUET:
        from ee_lightning.inference.parquet_input import ParquetFile  # which takes seconds to import

        return ParquetFile(path, choices, skip_bad_rows=skip_bad_rows)
    return TextFile(path, choices, skip_bad_rows=skip_bad_rows)


def check_readable(path: Path) -> None:
    """Raise an error for a file that rows can't be read from, before anything is loaded.

    Args:
        path: The file.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be read.
    """
    ending, known = path.suffix.lower(), (*ENDINGS, _PARQUET)
    if ending not in known:
        raise DataError(
            f"it is not known how to read {str(path)!r}", where=path, hint=f"use a file in {', '.join(known)}"
        )
    if not path.is_file():
        raise DataError("there is no such file", where=path, hint="check the name")
    if ending == _PARQUET:
        from ee_lightning.data.find_files import header_of  # which takes seconds to import

        header_of(path)
    else:
        with open_lines(path):
            pass
