"""Rows in Arrow: Parquet files, data sets that `datasets` saved, and the columns of both."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, LargeList, List, Value
from datasets.exceptions import DatasetsError
from datasets.table import InMemoryTable
from numpy.typing import NDArray
from typing_extensions import override

from ee_lightning.data.cache import blaming_cache, only_entry, quiet_progress
from ee_lightning.data.row_files import Bad, Chooser, Columns, Fields, RowFile
from ee_lightning.errors import DataError, first_line, listed

STATE = "state.json"
"""The file by which a folder that `save_to_disk` wrote is known."""
UNASKED = "unasked"
"""The fingerprint of rows that are found again by their content alone; to work one out takes copies of a column."""
NUMBER = "number"
"""The column with the numbers of rows in their file, where these are not their positions in the data set."""
_ROWS_AT_ONCE = 1024


def select_rows(rows: Dataset, numbers: NDArray[np.integer]) -> Dataset:
    """Select rows by their positions, [selected], as `Dataset.select` does, in 8 bytes a row; none is copied."""
    if rows._indices is not None:  # these are selected themselves
        return rows.select(numbers)
    indices = InMemoryTable(pa.table({"indices": pa.array(numbers.astype(np.uint64, copy=False))}))
    return Dataset(rows.data, info=rows.info, indices_table=indices, fingerprint=UNASKED)


def arrow_column(rows: Dataset, name: str) -> pa.ChunkedArray:
    """Return a column of a data set as it lies on the disk or in memory, [rows]."""
    values = rows.data.column(name)
    return values if rows._indices is None else values.take(rows._indices.column(0))


def leave_rows(rows: Dataset, kept: NDArray[np.integer]) -> Dataset:
    """Select rows by their positions, [kept], and keep their numbers in their file, in the column `NUMBER`."""
    if NUMBER not in rows.column_names:
        rows = with_numbers(rows, np.arange(len(rows)))
    return select_rows(rows, kept)


def with_numbers(rows: Dataset, numbers: NDArray[np.integer]) -> Dataset:
    """Add the numbers of the rows in their file, from 0, [rows]."""
    return rows.add_column(NUMBER, pa.array(numbers.astype(np.int64, copy=False)), new_fingerprint=UNASKED)


@contextmanager
def blaming(place: Path) -> Iterator[None]:
    """Raise a `DataError` that blames a file or folder for what goes wrong while it is read."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, DatasetsError) as error:
        reason = first_line(error.__cause__ or error)
        raise DataError(f"it can't be read: {reason}", where=place, hint="get it again, or write it again") from error


class ParquetFile(RowFile):
    """A Parquet file, of which one row group at most is in memory; its `size` is its number of rows.

    Attributes:
        schema: Its columns and their types.
    """

    unit = "row"

    def __init__(self, path: Path) -> None:
        with blaming(path), pq.ParquetFile(path) as file:
            super().__init__(path, size=file.metadata.num_rows)
            self.schema: pa.Schema = file.schema_arrow

    @override
    def rows(self, choose: Chooser) -> Iterator[tuple[int, Fields]]:
        self.columns, self.done = choose(self.schema.names, self.path), 0
        self.header = dict(zip(self.schema.names, self.schema.types, strict=True))
        for name in self.columns.texts:
            kind = self.schema.field(name).type
            if not _is_text(kind) and kind != pa.null():
                raise DataError(f"column {name!r} holds {kind}, and no texts", where=self.path, hint=choose.advice)
        names = self.schema.names if choose.whole else list(self.columns.names)
        # read ahead, the bytes of all row groups would come to lie in memory
        with blaming(self.path), pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=names):
                for cells in zip(*(batch.column(name) for name in names), strict=True):
                    self.done += 1
                    yield self.done, self._fields(names, cells, self.columns.names)

    def _fields(self, names: Sequence[str], cells: Sequence[pa.Scalar], chosen: Sequence[str]) -> Fields:
        try:
            self.row = dict(zip(names, (cell.as_py() for cell in cells), strict=True))
        except UnicodeDecodeError:
            return Bad("it is not UTF-8", hint="write the file again, in UTF-8")
        return self._checked(tuple(self.row[name] for name in chosen))


def _is_text(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values))


@dataclass(frozen=True)
class Table:
    """The rows of a split.

    Args:
        rows: Their chosen columns, under the names that they have in the file.
        columns: Which these are.
        where: Names the place of a row, counted from 0, as an error does.
        numbers: The number of each row in its file, from 0, [rows]; None if that is its position here.
    """

    rows: Dataset
    columns: Columns
    where: Callable[[int], str]
    numbers: NDArray[np.int64] | None = None

    def column(self, name: str | None) -> pa.ChunkedArray:
        """Return the values of a column, which is there, [rows]."""
        return arrow_column(self.rows, str(name))

    def error(self, what: str, hint: str, row: int = 0) -> DataError:
        """Return the error that something is wrong with a row."""
        return DataError(what, where=self.where(row), hint=hint)


def read_parquet(paths: Sequence[Path], choose: Chooser) -> Table:
    """Read a split of one Parquet file or several, in order; it is kept in the cache until a file changes.

    The files have the same columns; what columns a file without rows has does not matter.

    Raises:
        DataError: A file is damaged, its columns are not those of the others, there are no rows or not the columns, or
            a text or label is not UTF-8; or the cache can't be used.
    """
    place = paths[0] if len(paths) == 1 else paths[0].parent
    files = [ParquetFile(path) for path in paths]
    filled = [file for file in files if file.size]
    columns = _shared_columns(filled or files[:1], choose)
    if not filled:
        raise DataError("the file has no rows", where=place, hint="get the file again")
    with blaming(place), quiet_progress(sum(file.size for file in filled)):
        kept_in = only_entry(paths, columns.names)
        with blaming_cache():
            names = [str(file.path) for file in filled]
            rows = Dataset.from_parquet(names, cache_dir=str(kept_in), columns=list(columns.names))
    return decoded_table(rows, columns, place)


def read_saved(folder: Path, choose: Chooser) -> Table:
    """Read a split that `Dataset.save_to_disk` wrote.

    Raises:
        DataError: The folder is none of that kind or damaged, there are no rows or not the columns, or a text or label
            is not UTF-8.
    """
    with blaming(folder):
        if not (folder / STATE).is_file():
            hint = "name a file, or a folder that Dataset.save_to_disk wrote"
            raise DataError("the folder is no data set", where=folder, hint=hint)
        if not json.loads((folder / STATE).read_text(encoding="utf-8"))["_data_files"]:
            raise DataError("the folder has no rows", where=folder, hint="save the data set again")
        rows = Dataset.load_from_disk(str(folder))
    columns = choose(rows.column_names, folder)
    return decoded_table(rows.select_columns(list(columns.names)), columns, folder)


def decoded_table(rows: Dataset, columns: Columns, place: object) -> Table:
    """Return rows of a place as a table, if its texts and labels are UTF-8, which Arrow takes on trust.

    Texts of the type `string_view`, with which functions of Arrow can't work, become strings.

    Raises:
        DataError: Some are not UTF-8; the row is named, from 1 on.
    """
    features = Features({name: _without_views(feature) for name, feature in rows.features.items()})
    if features != rows.features:
        rows = Dataset(rows.data.cast(features.arrow_schema), fingerprint=UNASKED)
    table = Table(rows, columns, lambda row: f"{place}, row {row + 1}")
    for name in columns.names:
        start = 0
        for chunk in table.column(name).chunks:
            try:
                chunk.validate(full=True)
            except pa.ArrowInvalid:
                if bad := [row for row, value in enumerate(chunk) if not _is_decoded(value)]:
                    hint = "get the data again, or write them again in UTF-8"
                    raise table.error(f"{name!r} is not UTF-8", hint, start + bad[0]) from None
            start += len(chunk)
    return table


def _without_views(feature: Any) -> Any:
    if isinstance(feature, List | LargeList):
        return replace(feature, feature=_without_views(feature.feature))
    return Value("string") if feature == Value("string_view") else feature


def _is_decoded(value: pa.Scalar) -> bool:
    try:
        value.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _shared_columns(files: Sequence[ParquetFile], choose: Chooser) -> Columns:
    """Pick the columns of the first file, which the others must have, of the same types and labels."""
    first, *later = files
    columns = choose(first.schema.names, first.path)
    for other in later:
        if (others := choose(other.schema.names, other.path)) != columns:
            what = f"its columns are {', '.join(others.names)}; those of {first.path.name} are "
            raise _unlike(other, what + ", ".join(columns.names), "columns")
        for name in columns.names:
            kind, expected = other.schema.field(name).type, first.schema.field(name).type
            if not _reads_alike(kind, expected):
                raise _unlike(other, f"column {name!r} holds {kind}, and in {first.path.name} {expected}", "types")
            words, known = _label_names(other, name), _label_names(first, name)
            if words and known and words != known:
                what = f"the labels are {listed(words)}, and in {first.path.name} {listed(known)}"
                raise _unlike(other, what, "labels, in one order")
    return columns


def _unlike(file: ParquetFile, what: str, same: str) -> DataError:
    return DataError(what, where=file.path, hint=f"write all shards with the same {same}")


def _label_names(file: ParquetFile, name: str) -> Sequence[str]:
    """Return the words that the data set itself has for the numbers in a column; none if it has none."""
    feature = Features.from_arrow_schema(file.schema)[name]
    return feature.names if isinstance(feature, ClassLabel) else ()


def _reads_alike(kind: pa.DataType, expected: pa.DataType) -> bool:
    """Whether `datasets` makes the type out of another without a change to what the values say."""
    if _is_list(kind) and _is_list(expected):
        return _reads_alike(kind.value_type, expected.value_type)
    alike = (_is_text, pa.types.is_integer, pa.types.is_floating)
    return kind in (expected, pa.null()) or any(is_one(kind) and is_one(expected) for is_one in alike)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
