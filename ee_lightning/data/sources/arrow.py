"""Parquet files, and folders that `save_to_disk` of `datasets` wrote: read from the disk, not into memory."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from datasets.exceptions import DatasetsError

from ee_lightning.data.cache import blaming_cache, only_entry, quiet_progress
from ee_lightning.data.sources.table import Choose, Columns, Table
from ee_lightning.data.sources.words import listed
from ee_lightning.errors import DataError

STATE = "state.json"
"""The file by which a folder that `save_to_disk` wrote is known."""

SHARD = re.compile(r"-(?P<number>\d+)-of-(?P<count>\d+)\b")
"""What follows the split in the name of a Parquet shard; a fingerprint may come after it."""


def shards_of(folder: Path, stem: str) -> list[Path]:
    """Give the Parquet shards of a split in order, `train-00000-of-00002.parquet` first; none where there are none.

    Args:
        folder: Where they lie.
        stem: What the split is called.

    Raises:
        DataError: A shard is missing, or there are those of two data sets.
    """
    named = [(path, SHARD.match(path.name.removeprefix(stem))) for path in sorted(folder.glob(f"{stem}-*.parquet"))]
    shards = [(path, int(match["number"]), int(match["count"])) for path, match in named if match]
    numbers, counts = {number for _, number, _ in shards}, {count for _, _, count in shards}
    if len(counts) > 1 or len(numbers) < len(shards):
        raise DataError(
            f"shards of several data sets lie together: {listed([path.name for path, *_ in shards])}",
            where=folder,
            mend="leave those of one data set in the folder",
        )
    if len(shards) < (count := max(counts, default=0)):
        missing = [f"{stem}-{number:05}-of-{count:05}.parquet" for number in range(count) if number not in numbers]
        raise DataError(f"shards are missing: {listed(missing)}", where=folder, mend="put them beside the others")
    return [path for path, *_ in shards]


def read_parquet(paths: Sequence[Path], choose: Choose) -> Table:
    """Read a split of one Parquet file or several; it is kept in the cache until a file changes.

    Args:
        paths: The files, in order, with the same columns; what columns a file without rows has does not matter.
        choose: Picks the columns that are read.

    Raises:
        DataError: A file is damaged, its columns are not those of the others, or there are no rows or not the columns;
            or the cache can't be used.
    """
    place = paths[0] if len(paths) == 1 else paths[0].parent
    headers = [_header(path) for path in paths]
    filled = [header for header in headers if header.num_rows]
    columns = _shared_columns(filled or headers[:1], choose)
    if not filled:
        raise DataError("the file has no rows", where=place, mend="get the file anew")
    with _blaming(place), quiet_progress(sum(header.num_rows for header in filled)):
        kept_in = only_entry(paths, columns.names)
        with blaming_cache():
            names = [str(header.path) for header in filled]
            rows = Dataset.from_parquet(names, cache_dir=str(kept_in), columns=list(columns.names))
    return Table(rows, columns, _counted(place))


def read_saved(folder: Path, choose: Choose) -> Table:
    """Read a split that `Dataset.save_to_disk` wrote.

    Args:
        folder: The split's folder.
        choose: Picks the columns that are read.

    Raises:
        DataError: The folder is damaged, or there are no rows or not the columns.
    """
    with _blaming(folder):
        if not json.loads((folder / STATE).read_text(encoding="utf-8"))["_data_files"]:
            raise DataError("the folder has no rows", where=folder, mend="save the data set anew")
        rows = Dataset.load_from_disk(str(folder))
    columns = choose(rows.column_names, folder)
    return Table(rows.select_columns(list(columns.names)), columns, _counted(folder))


class _Header(NamedTuple):
    path: Path
    num_rows: int
    schema: pa.Schema


def _header(path: Path) -> _Header:
    with _blaming(path), pq.ParquetFile(path) as file:
        return _Header(path, file.metadata.num_rows, file.schema_arrow)


def _shared_columns(headers: Sequence[_Header], choose: Choose) -> Columns:
    """Pick the columns of the first file, which the others must have in the same types."""
    first = headers[0]
    columns = choose(first.schema.names, first.path)
    for other in headers[1:]:
        if (others := choose(other.schema.names, other.path)) != columns:
            raise DataError(
                f"its columns are {', '.join(others.names)}; those of {first.path.name} are {', '.join(columns.names)}",
                where=other.path,
                mend="write all shards with the same columns",
            )
        for name in columns.names:
            kind, expected = other.schema.field(name).type, first.schema.field(name).type
            if not _reads_alike(kind, expected):
                raise DataError(
                    f"column {name!r} holds {kind}, and in {first.path.name} {expected}",
                    where=other.path,
                    mend="write all shards with the same types",
                )
    return columns


def _reads_alike(kind: pa.DataType, expected: pa.DataType) -> bool:
    """Whether `datasets` makes the type out of another without a change to what the values say."""
    if _is_list(kind) and _is_list(expected):
        return _reads_alike(kind.value_type, expected.value_type)
    alike = (_is_text, pa.types.is_integer, pa.types.is_floating)
    return kind in (expected, pa.null()) or any(is_one(kind) and is_one(expected) for is_one in alike)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(values) or pa.types.is_large_string(values))


def _counted(place: Path) -> Callable[[int], str]:
    return lambda row: f"{place}, row {row + 1}"


@contextmanager
def _blaming(place: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, DatasetsError) as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise DataError(f"it can't be read: {reason}", where=place, mend="get it anew, or write it anew") from error
