"""Parquet files, and folders that `save_to_disk` of `datasets` wrote: read from the disk, not into memory."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from ee_lightning.data.cache import blaming_cache, only_entry, quiet_progress
from ee_lightning.data.sources.shards import blaming, header_of, shared_columns
from ee_lightning.data.sources.table import Choose, Table
from ee_lightning.errors import DataError

STATE = "state.json"
"""The file by which a folder that `save_to_disk` wrote is known."""

SPLIT_LIST = "dataset_dict.json"
"""The file in which `save_to_disk` lists the splits of several data sets, each in a folder called like it."""


def read_parquet(paths: Sequence[Path], choose: Choose) -> Table:
    """Read a split of one Parquet file or several; it is kept in the cache until a file changes.

    Args:
        paths: The files, in order, with the same columns; what columns a file without rows has does not matter.
        choose: Picks the columns that are read.

    Raises:
        DataError: A file is damaged, its columns are not those of the others, there are no rows or not the columns, or
            a text or label is not UTF-8; or the cache can't be used.
    """
    place = paths[0] if len(paths) == 1 else paths[0].parent
    headers = [header_of(path) for path in paths]
    filled = [header for header in headers if header.num_rows]
    columns = shared_columns(filled or headers[:1], choose)
    if not filled:
        raise DataError("the file has no rows", where=place, mend="get the file anew")
    with blaming(place), quiet_progress(sum(header.num_rows for header in filled)):
        kept_in = only_entry(paths, columns.names)
        with blaming_cache():
            names = [str(header.path) for header in filled]
            rows = Dataset.from_parquet(names, cache_dir=str(kept_in), columns=list(columns.names))
    return refuse_undecoded(Table(rows, columns, _counted(place)))


def read_saved(folder: Path, choose: Choose) -> Table:
    """Read a split that `Dataset.save_to_disk` wrote.

    Args:
        folder: The split's folder.
        choose: Picks the columns that are read.

    Raises:
        DataError: The folder is none of that kind or damaged, there are no rows or not the columns, or a text or label
            is not UTF-8.
    """
    with blaming(folder):
        if not (folder / STATE).is_file():
            mend = "name a file, or a folder that Dataset.save_to_disk wrote"
            raise DataError("the folder is no data set", where=folder, mend=mend)
        if not json.loads((folder / STATE).read_text(encoding="utf-8"))["_data_files"]:
            raise DataError("the folder has no rows", where=folder, mend="save the data set anew")
        rows = Dataset.load_from_disk(str(folder))
    columns = choose(rows.column_names, folder)
    return refuse_undecoded(Table(rows.select_columns(list(columns.names)), columns, _counted(folder)))


def refuse_undecoded(table: Table) -> Table:
    """Return a table as it is if its texts and labels are UTF-8, which Arrow takes on trust.

    Args:
        table: Rows that were read from Arrow or Parquet.

    Raises:
        DataError: Some are not; the row is named.
    """
    for name in table.columns.names:
        start = 0
        for chunk in table.rows.select_columns([name]).with_format("arrow")[:].column(name).chunks:
            if (row := _undecoded_row(chunk)) is not None:
                raise DataError(
                    f"{name!r} is not UTF-8",
                    where=table.where(start + row),
                    mend="get the data anew, or write them anew in UTF-8",
                )
            start += len(chunk)
    return table


def _undecoded_row(values: pa.Array) -> int | None:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return next((row for row, value in enumerate(values) if not _is_decoded(value)), None)
    return None


def _is_decoded(value: pa.Scalar) -> bool:
    try:
        value.as_py()
    except UnicodeDecodeError:
        return False
    return True


def listed_splits(folder: Path) -> Sequence[str]:
    """Return the splits that a folder has by what `DatasetDict.save_to_disk` wrote; none if it wrote nothing.

    Args:
        folder: The folder.

    Raises:
        DataError: The list can't be read.
    """
    file = folder / SPLIT_LIST
    if not file.is_file():
        return ()
    with blaming(file):
        splits = json.loads(file.read_text(encoding="utf-8"))["splits"]
        if not (isinstance(splits, list) and all(isinstance(split, str) for split in splits)):
            raise ValueError("it lists no splits")
    return splits


def _counted(place: Path) -> Callable[[int], str]:
    return lambda row: f"{place}, row {row + 1}"
