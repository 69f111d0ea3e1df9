"""Rows of texts from text files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ee_lightning.errors import DataError
from ee_lightning.inference.encoder import Texts
from ee_lightning.inference.rows import RowFile
from ee_lightning.rows import Bad, Lines, open_lines, read_records

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
                mend="use .csv, .tsv, .jsonl or .parquet, with a column for each",
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
