"""Rows of texts from files, read as they are needed."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ee_lightning.errors import DataError
from ee_lightning.inference.encoder import Texts
from ee_lightning.rows import ENDINGS, Bad, Lines, flaw_of, open_lines, read_records, refuse_two_columns

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


class TextFile(LeavesOut):
    """The texts of a file, gone through row by row, once.

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
        DataError: The ending is not known, there is no such file, or two texts are asked of lines of one.
    """

    def __init__(self, path: str | Path, choices: Sequence[Texts], *, skip_bad_rows: bool = False) -> None:
        super().__init__()
        self.path, self._choices, self._skips = Path(path), choices, skip_bad_rows
        check_readable(self.path)
        if self._is_plain and len(choices[0]) > 1:
            raise DataError(
                "a .txt file holds one text a line, and two are needed",
                where=path,
                mend="use .csv, .tsv or .jsonl, with a column for each",
            )
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
        with open_lines(self.path) as self._lines:
            header, records = read_records(self._lines, _ending(self.path), self._choices[0] if self._is_plain else ())
            choices = self._choices if header is None else [self._chosen(header, self._lines.place(1))]
            for number, (line, row) in enumerate(records):
                texts = row if isinstance(row, Bad) else _texts_of(row, choices)
                if isinstance(texts, Bad):
                    self._refuse(texts, self._lines.place(line))
                else:
                    yield Row(number, texts)

    @property
    def _is_plain(self) -> bool:
        return _ending(self.path) == ".txt"

    def _chosen(self, header: Sequence[str], where: str) -> Texts:
        names = next((names for names in self._choices if set(names) <= set(header)), None)
        if names is None:
            raise DataError(
                f"there is no column {' and '.join(self._choices[0])}",
                where=where,
                mend=f"the columns are {', '.join(header)}; name those of the texts with --text-columns",
            )
        refuse_two_columns(header, names, where)
        return names

    def _refuse(self, row: Bad, place: str) -> None:
        if not self._skips:
            raise DataError(
                f"a row can't be read: {row.reason}",
                where=place,
                mend=f"{row.mend}; or leave such rows out: --skip-bad-rows",
            )
        self.leave_out(place, row.reason)


def _texts_of(row: dict[str, Any], choices: Sequence[Texts]) -> Texts | Bad:
    names = next((names for names in choices if row.keys() >= set(names)), None)
    if names is None:
        return Bad(f"it lacks {' or '.join(sorted(set(choices[0]) - row.keys()))}", mend="give every row its texts")
    for name in names:
        if not isinstance(row[name], str):
            return Bad(f"{name} is {json.dumps(row[name]):.40}, and no text", mend="put texts into quotes")
        if (bad := flaw_of(name, row[name])) is not None:
            return bad
    return tuple(row[name] for name in names)


def _ending(path: Path) -> str:
    return path.suffix.lower()


def check_readable(path: Path) -> None:
    """Refuse a file that rows can't be read from, before anything is loaded.

    Args:
        path: The file.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be opened.
    """
    if _ending(path) not in ENDINGS:
        raise DataError(
            f"it is not known how to read {str(path)!r}", where=path, mend=f"use a file in {', '.join(ENDINGS)}"
        )
    if not path.is_file():
        raise DataError("there is no such file", where=path, mend="check the name")
    with open_lines(path):
        pass
