"""The Parquet files of a data set, and the files of predictions, each written whole or not at all."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ee_lightning.errors import DataError, first_line
from ee_lightning.files import UNFINISHED


class Place(NamedTuple):
    """A file system, and a path in it."""

    system: fs.FileSystem
    path: str

    @classmethod
    def of(cls, name: str) -> "Place":
        """Return the place that a path names, or an address such as ``s3://bucket/folder``."""
        try:
            return cls(*fs.FileSystem.from_uri(name if "://" in name else os.path.realpath(name)))
        except (pa.ArrowException, OSError, ValueError) as error:
            what = f"this is no address of files: {first_line(error)}"
            raise DataError(what, where=name, hint="give a folder, or an address such as s3://bucket/folder") from error


class Part(NamedTuple):
    """A Parquet file of a data set: its path, that within the data set, its number of rows, and its schema."""

    path: str
    name: str
    rows: int
    schema: pa.Schema


def parts_of(place: Place) -> list[Part]:
    """Return the Parquet files with rows of a folder and of those below it, by name, or the one file that is named.

    Raises:
        DataError: There is none, or one can't be read.
    """
    try:
        there = place.system.get_file_info(place.path)
        if there.type == fs.FileType.File:
            found = [(place.path, PurePosixPath(place.path).name)]
        else:
            below = place.system.get_file_info(fs.FileSelector(place.path, recursive=True))
            paths = sorted(each.path for each in below if each.type == fs.FileType.File)
            found = [(path, str(PurePosixPath(path).relative_to(place.path))) for path in paths]
        found = [(path, name) for path, name in found if name.endswith(".parquet")]
        parts = [part for path, name in found if (part := _part(place.system, path, name)).rows]
    except (pa.ArrowException, OSError) as error:
        what = f"the data set can't be read: {first_line(error)}"
        raise DataError(what, where=place.path, hint="give a folder with Parquet files") from error
    if not parts:
        raise DataError(
            "there are no Parquet files with rows", where=place.path, hint="give a folder with Parquet files"
        )
    return parts


def _part(system: fs.FileSystem, path: str, name: str) -> Part:
    with system.open_input_file(path) as file:
        about = pq.read_metadata(file)
    return Part(path, name, about.num_rows, about.schema.to_arrow_schema().remove_metadata())


class PartWriters:
    """Writes a file for each part, which takes its place once all rows of the part are there.

    Args:
        place: The folder; missing folders are made.
        parts: The parts.
    """

    def __init__(self, place: Place, parts: Iterable[Part]) -> None:
        self._place = place
        self._missing = {part.path: part.rows for part in parts}
        self._names = {part.path: part.name for part in parts}
        self._open = dict[str, pq.ParquetWriter]()

    @staticmethod
    def undone(place: Place, parts: list[Part]) -> list[Part]:
        """Return the parts whose file is not there yet."""
        paths = [f"{place.path}/{part.name}" for part in parts]
        there = place.system.get_file_info(paths)
        return [part for part, info in zip(parts, there, strict=True) if info.type != fs.FileType.File]

    def write(self, path: str, rows: pa.Table) -> Iterator[str]:
        """Write rows of a part, given by its path, and give back the name of its file once it is complete."""
        file = f"{self._place.path}/{self._names[path]}"
        if path not in self._open:
            self._place.system.create_dir(str(PurePosixPath(file).parent), recursive=True)
            self._open[path] = pq.ParquetWriter(self._unfinished(file), rows.schema, filesystem=self._place.system)
        self._open[path].write_table(rows.cast(self._open[path].schema))
        self._missing[path] -= rows.num_rows
        if self._missing[path] == 0:
            self._open.pop(path).close()
            self._place.system.move(self._unfinished(file), file)
            yield file

    def give_up(self) -> None:
        """Remove what is not complete."""
        for path, writer in self._open.items():
            with suppress(Exception):
                writer.close()
            with suppress(OSError):
                self._place.system.delete_file(self._unfinished(f"{self._place.path}/{self._names[path]}"))

    @staticmethod
    def _unfinished(file: str) -> Any:
        path = PurePosixPath(file)
        return str(path.with_name(f".{path.name}{UNFINISHED}"))
