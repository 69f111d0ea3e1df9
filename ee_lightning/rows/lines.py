"""The lines of a text file, one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ee_lightning.errors import DataError, hint_for

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
        mend = hint_for(error, "check that the file is there and whole")
        raise DataError(f"the file can't be read: {error.strerror}", where=path, mend=mend) from error


def without_end(line: str) -> str:
    r"""Take the end off a line: `\n` or `\r\n`."""
    return line.removesuffix("\n").removesuffix("\r")
