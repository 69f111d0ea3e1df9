"""Files of rows to predict, by what their names end in."""

from collections.abc import Sequence
from pathlib import Path

from ee_lightning.data.sources.shards import header_of
from ee_lightning.errors import DataError
from ee_lightning.inference.encoder import Texts
from ee_lightning.inference.parquet_file import ParquetFile
from ee_lightning.inference.rows import RowFile
from ee_lightning.inference.text_file import TextFile
from ee_lightning.rows import ENDINGS, open_lines

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
    kind = ParquetFile if path.suffix.lower() == _PARQUET else TextFile
    return kind(path, choices, skip_bad_rows=skip_bad_rows)


def check_readable(path: Path) -> None:
    """Refuse a file that rows can't be read from, before anything is loaded.

    Args:
        path: The file.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be read.
    """
    ending, known = path.suffix.lower(), (*ENDINGS, _PARQUET)
    if ending not in known:
        raise DataError(
            f"it is not known how to read {str(path)!r}", where=path, mend=f"use a file in {', '.join(known)}"
        )
    if not path.is_file():
        raise DataError("there is no such file", where=path, mend="check the name")
    if ending == _PARQUET:
        header_of(path)
    else:
        with open_lines(path):
            pass
