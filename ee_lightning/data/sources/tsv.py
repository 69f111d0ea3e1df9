"""Tab-separated files as GLUE writes them: no quoting, every line a row, a byte-order mark at times."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ee_lightning.errors import DataError


@dataclass(frozen=True)
class TsvFile:
    """The cells of a file, column by column.

    Args:
        path: The file.
        columns: The cells of each column, by its name.
        first_line: The number of the line, from 1, that the first row stands on.
    """

    path: Path
    columns: dict[str, list[str]]
    first_line: int

    def column(self, name: str) -> list[str]:
        """The cells of a column.

        Raises:
            DataError: The file has no such column.
        """
        if name not in self.columns:
            raise DataError(
                f"no column {name!r}", where=self.path, mend=f"its first line names {', '.join(self.columns)}"
            )
        return self.columns[name]

    def where(self, row: int) -> str:
        """The place of a row, counted from 0, as an error names it."""
        return f"{self.path}, line {self.first_line + row}"


def read_tsv(path: Path, names: Sequence[str] = ()) -> TsvFile:
    r"""Read a file whose quotes are literal.

    Lines end with `\n` or `\r\n` only: sentences may hold what Unicode calls a line separator.

    Args:
        path: The file, in UTF-8.
        names: The columns of a file without a header line; without them the first line names the columns.

    Returns:
        The cells.

    Raises:
        DataError: The file can't be read, isn't UTF-8, has no rows, or a line has too few or too many cells.
    """
    lines = _lines(path)
    if not names and lines:
        names, lines, first_line = lines[0].split("\t"), lines[1:], 2
    else:
        first_line = 1
    if not lines:
        raise DataError("the file has no rows", where=path, mend="get the file anew")
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, first_line):
        if len(row) != len(names):
            raise DataError(
                f"{len(row)} cells where {len(names)} are expected: {', '.join(names)}",
                where=f"{path}, line {number}",
                mend="separate the cells of a row by single tabs, one row a line",
            )
    return TsvFile(path, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), first_line)


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"the file can't be read: {error.strerror}", where=path, mend="mend its permissions") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            "the file is not UTF-8", where=f"{path}, line {line}", mend="get the file anew, or convert it to UTF-8"
        ) from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
