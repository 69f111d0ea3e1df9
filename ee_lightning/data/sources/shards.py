"""The Parquet files of a split: which they are, and whether they are of one data set."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Features
from datasets.exceptions import DatasetsError

from ee_lightning.data.sources.table import Choose, Columns
from ee_lightning.data.sources.words import listed
from ee_lightning.errors import DataError, first_line

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


class Header(NamedTuple):
    """What a Parquet file says of itself.

    Attributes:
        path: The file.
        num_rows: Number of its rows.
        schema: Its columns and their types.
    """

    path: Path
    num_rows: int
    schema: pa.Schema


def header_of(path: Path) -> Header:
    """Read what a Parquet file says of itself.

    Args:
        path: The file.

    Raises:
        DataError: It can't be read.
    """
    with blaming(path), pq.ParquetFile(path) as file:
        return Header(path, file.metadata.num_rows, file.schema_arrow)


def shared_columns(headers: Sequence[Header], choose: Choose) -> Columns:
    """Pick the columns of the first file, which the others must have, of the same types and labels.

    Args:
        headers: One or more.
        choose: Picks the columns that are read.

    Raises:
        DataError: A file has not the columns, or others than the first.
    """
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
            words, known = _label_names(other, name), _label_names(first, name)
            if words and known and words != known:
                raise DataError(
                    f"the labels are {listed(words)}, and in {first.path.name} {listed(known)}",
                    where=other.path,
                    mend="write all shards with the same labels, in one order",
                )
    return columns


def _label_names(header: Header, name: str) -> Sequence[str]:
    """Give the words that the data set itself has for the numbers in a column; none if it has none."""
    feature = Features.from_arrow_schema(header.schema)[name]
    return feature.names if isinstance(feature, ClassLabel) else ()


def _reads_alike(kind: pa.DataType, expected: pa.DataType) -> bool:
    """Whether `datasets` makes the type out of another without a change to what the values say."""
    if _is_list(kind) and _is_list(expected):
        return _reads_alike(kind.value_type, expected.value_type)
    alike = (is_text, pa.types.is_integer, pa.types.is_floating)
    return kind in (expected, pa.null()) or any(is_one(kind) and is_one(expected) for is_one in alike)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of a type holds texts."""
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values))


@contextmanager
def blaming(place: Path) -> Iterator[None]:
    """Blame a file or folder for what goes wrong while it is read.

    Args:
        place: The file or folder.

    Raises:
        DataError: Something went wrong.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, DatasetsError) as error:
        reason = first_line(error.__cause__ or error)
        raise DataError(f"it can't be read: {reason}", where=place, mend="get it anew, or write it anew") from error
