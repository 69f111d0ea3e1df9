"""The lines of a text file in UTF-8, one by one."""

from collections.abc import Iterator
from pathlib import Path

from ee_lightning.errors import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[str]:
    r"""Read a file line by line, with the ends of the lines.

    Lines end with `\n` only: sentences may hold what Unicode calls a line separator.

    Args:
        path: The file; a byte-order mark is left out.

    Raises:
        DataError: The file can't be read, or isn't UTF-8; the line is named.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield _decoded(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line, path, number)
    except OSError as error:
        raise DataError(f"the file can't be read: {error.strerror}", where=path, mend="mend its permissions") from error


def without_end(line: str) -> str:
    r"""Take the end off a line: `\n` or `\r\n`."""
    return line.removesuffix("\n").removesuffix("\r")


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            "the file is not UTF-8", where=f"{path}, line {number}", mend="get the file anew, or convert it to UTF-8"
        ) from error
