"""Rows of texts from files, read as they are needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ee_lightning.errors import DataError
from ee_lightning.inference.encoder import Texts, is_unicode
from ee_lightning.inference.row_formats import READERS, Bad, Lines

MOST_LISTED = 10


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        number: Its number, from 0; rows that are left out count.
        texts: Its text, or its two.
    """

    number: int
    texts: Texts


class TextFile:
    """The texts of a file, gone through row by row, once.

    By its ending a file is one of these, in UTF-8:

    - ``.csv``: comma-separated; the first line names the columns; cells may be quoted, and hold up to 131,072
      characters;
    - ``.tsv``: the same with tabs, and quotes are literal, as GLUE writes it;
    - ``.jsonl``: a JSON object a line;
    - ``.txt``: a text a line.

    Blank lines are no rows, but in ``.txt``, where they are empty texts. The last line may lack its end.

    Args:
        path: The file.
        choices: By which names its text, or its two texts, may go; the first choice that is there counts.
        skip_bad_rows: Leave out rows that can't be read, and count them.

    Attributes:
        num_bad: How many rows were left out so far.
        bad: The first ten of them, place and reason.

    Raises:
        DataError: The ending is not known, there is no such file, or two texts are asked of lines of one.
    """

    def __init__(self, path: str | Path, choices: Sequence[Texts], *, skip_bad_rows: bool = False) -> None:
        self.path, self._choices, self._skips = Path(path), choices, skip_bad_rows
        check_readable(self.path)
        if self.path.suffix == ".txt" and len(choices[0]) > 1:
            raise DataError(
                "a .txt file holds one text a line, and two are needed",
                where=path,
                mend="use .csv, .tsv or .jsonl, with a column for each",
            )
        self.num_bad = 0
        self.bad: list[str] = []
        self._lines: Lines | None = None

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self.path.stat().st_size

    @property
    def done(self) -> int:
        """How many bytes of it were read."""
        return 0 if self._lines is None else self._lines.num_bytes

    def __iter__(self) -> Iterator[Row]:
        """Read the rows.

        Raises:
            DataError: A row can't be read, and bad rows are not left out; or the file or its header can't.
        """
        try:
            with self.path.open("rb") as file:
                self._lines = Lines(file)
                for number, (line, texts) in enumerate(READERS[self.path.suffix](self._lines, self._choices)):
                    if isinstance(texts, Bad):
                        self._leave_out(self._lines.place(line), texts.reason)
                    elif not all(map(is_unicode, texts)):
                        self._leave_out(self._lines.place(line), "it is not UTF-8")
                    else:
                        yield Row(number, texts)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _leave_out(self, place: str, reason: str) -> None:
        if not self._skips:
            raise DataError(
                f"a row can't be read: {reason}", where=place, mend="mend the row, or leave such out: --skip-bad-rows"
            )
        self.num_bad += 1
        if self.num_bad <= MOST_LISTED:
            self.bad.append(f"{place}: {reason}")


def check_readable(path: Path) -> None:
    """Refuse a file that rows can't be read from, before anything is loaded.

    Args:
        path: The file.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be opened.
    """
    if path.suffix not in READERS:
        raise DataError(
            f"it is not known how to read {str(path)!r}", where=path, mend=f"use a file in {', '.join(READERS)}"
        )
    if not path.is_file():
        raise DataError("there is no such file", where=path, mend="check the name")
    try:
        path.open("rb").close()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"the file can't be read: {error.strerror}", where=path, mend="mend the file or its permissions")
