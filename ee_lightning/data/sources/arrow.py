"""Parquet files, and folders that `save_to_disk` of `datasets` wrote: read from the disk, not into memory."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from datasets.exceptions import DatasetsError

from ee_lightning.data.cache import cache_folder, quiet_progress
from ee_lightning.data.sources.table import Choose, Table
from ee_lightning.errors import DataError

STATE = "state.json"
"""The file by which a folder that `save_to_disk` wrote is known."""


def read_parquet(paths: Sequence[Path], choose: Choose) -> Table:
    """Read a split of one Parquet file or several; it is kept in the cache until a file changes.

    Args:
        paths: The files, in order, with the same columns.
        choose: Picks the columns that are read.

    Raises:
        DataError: A file is damaged, or there are no rows or not the columns.
    """
    place = paths[0] if len(paths) == 1 else paths[0].parent
    with _blaming(place):
        header = pq.read_schema(paths[0]).names
        num_rows = sum(pq.read_metadata(path).num_rows for path in paths)
    columns = choose(header, place)
    if not num_rows:
        raise DataError("the file has no rows", where=place, mend="get the file anew")
    with _blaming(place), quiet_progress(num_rows):
        names = [str(path) for path in paths]
        kept_in = str(_only_entry(paths, columns.names))
        rows = Dataset.from_parquet(names, cache_dir=kept_in, columns=list(columns.names))
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


def _only_entry(paths: Sequence[Path], columns: Sequence[str]) -> Path:
    """Give the cache folder of these columns of the files as they are now, and delete those of the files as they were.

    All bytes are hashed, as times and sizes survive a change (`cp -p`, `rsync -t`); it takes no longer than to hash the
    rows that are read of them, without which no tokenised rows are found.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
        digest.update(str(path.stat().st_mtime_ns).encode())  # which `datasets` makes another entry of
    asked_for = json.dumps([[str(path.resolve()) for path in paths], list(columns)])
    folder = cache_folder() / "parquet" / hashlib.sha256(asked_for.encode()).hexdigest()
    entry = folder / digest.hexdigest()
    for other in folder.iterdir() if folder.is_dir() else ():
        if other != entry:
            shutil.rmtree(other, ignore_errors=True)
    return entry


def _counted(place: Path) -> Callable[[int], str]:
    return lambda row: f"{place}, row {row + 1}"


@contextmanager
def _blaming(place: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, DatasetsError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DataError(f"it can't be read: {reason}", where=place, mend="get it anew, or write it anew") from error
