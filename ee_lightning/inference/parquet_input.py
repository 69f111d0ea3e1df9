"""Rows of texts from Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ee_lightning.data.find_files import blaming, header_of, is_text
from ee_lightning.data.text_rows import Bad
from ee_lightning.errors import DataError
from ee_lightning.inference.encoder import Texts
from ee_lightning.inference.input import RowFile

_BATCH = 1024
"""Rows read at a time."""


class ParquetFile(RowFile):
    """The texts of a Parquet file, of which one row group at most is in memory.

    Args:
        path: The file.
        choices: By which names its text, or its two texts, may go; the first choice that is there counts.
        skip_bad_rows: Leave out rows whose texts are missing or not UTF-8, and count them.

    Raises:
        DataError: The file can't be read, or has not the columns, or a column holds no texts.
    """

    def __init__(self, path: str | Path, choices: Sequence[Texts], *, skip_bad_rows: bool = False) -> None:
        super().__init__(path, choices, skip_bad_rows=skip_bad_rows)
        header = header_of(self.path)
        self._size, self._done = header.num_rows, 0
        self.choose(header.schema.names, self.path)
        for name in self.choices[0]:
            kind = header.schema.field(name).type
            if not is_text(kind) and kind != pa.null():
                raise DataError(
                    f"column {name!r} holds {kind}, and no texts",
                    where=self.path,
                    hint="name the columns of the texts with --text-columns",
                )

    @property
    def size(self) -> int:
        """The number of rows."""
        return self._size

    @property
    def done(self) -> int:
        """How many rows were read."""
        return self._done

    def records(self) -> Iterator[tuple[str, dict[str, Any] | Bad]]:
        """Read the rows, counted from 1."""
        (names,) = self.choices
        # read ahead, the bytes of all row groups would come to lie in memory
        with blaming(self.path), pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(_BATCH, columns=list(names)):
                for cells in zip(*(batch.column(name) for name in names), strict=True):
                    self._done += 1
                    yield f"{self.path}, row {self._done}", _fields(names, cells)


def _fields(names: Texts, cells: Sequence[pa.Scalar]) -> dict[str, Any] | Bad:
    try:
        return {name: cell.as_py() for name, cell in zip(names, cells, strict=True)}
    except UnicodeDecodeError:
        return Bad("it is not UTF-8", hint="write the file anew, in UTF-8")
