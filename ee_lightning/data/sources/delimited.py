"""Files of cells: tab-separated as GLUE writes them, and comma-separated."""

import csv
import logging
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from datasets import Dataset, Features, Value

from ee_lightning.data.sources.lines import read_lines, without_end
from ee_lightning.data.sources.table import Choose, Table
from ee_lightning.errors import DataError

Cells = Iterator[tuple[int, list[str]]]
"""Of each row the number of its first line, from 1, and its cells."""

LONGEST_CELL = 2**31 - 1
MOST_LISTED = 5
log = logging.getLogger(__name__)


def read_tsv(path: Path, choose: Choose, names: Sequence[str] = (), *, skips_ragged: bool = False) -> Table:
    """Read a tab-separated file, whose quotes are literal and whose every line is a row.

    Args:
        path: The file, in UTF-8.
        choose: Picks the columns that are read.
        names: The columns of a file without a header line; without them the first line names the columns.
        skips_ragged: Leave rows with too few or too many cells out, and say how many, instead of refusing the file.

    Raises:
        DataError: The file can't be read, isn't UTF-8, has no rows or not the columns, or a line has too few or too
            many cells.
    """
    cells = ((number, without_end(line).split("\t")) for number, line in enumerate(read_lines(path), 1))
    return _table(cells, path, choose, names, skips_ragged=skips_ragged)


def read_csv(path: Path, choose: Choose) -> Table:
    """Read a comma-separated file whose first line names the columns; a quoted cell may have several lines.

    Args:
        path: The file, in UTF-8.
        choose: Picks the columns that are read.

    Raises:
        DataError: The file can't be read, isn't UTF-8, is no CSV, has no rows or not the columns, or a row has too few
            or too many cells.
    """
    return _table(_csv_cells(path), path, choose)


def _csv_cells(path: Path) -> Cells:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(read_lines(path), strict=True)
    first_line = 1
    try:
        for cells in reader:
            if cells:
                yield first_line, cells
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"it is no CSV: {error}",
            where=f"{path}, line {first_line}",
            mend='double the quotes within a cell (""), and put the cell into quotes',
        ) from error


def _table(rows: Cells, path: Path, choose: Choose, names: Sequence[str] = (), *, skips_ragged: bool = False) -> Table:
    header = names or next(rows, (0, []))[1]
    if not header:
        raise DataError("the file has no rows", where=path, mend="get the file anew: it is empty")
    columns = choose(header, path)
    places = [header.index(name) for name in columns.names]
    cells: list[list[str]] = [[] for _ in places]
    lines, ragged = array("q"), array("q")
    for line, row in rows:
        if len(row) == len(header):
            lines.append(line)
            for column, place in zip(cells, places, strict=True):
                column.append(row[place])
        elif skips_ragged:
            ragged.append(line)
        else:
            raise DataError(
                f"{len(row)} cells where {len(header)} are expected: {', '.join(header)}",
                where=f"{path}, line {line}",
                mend="give every row a cell for each column",
            )
    if not lines:
        raise DataError("the file has no rows", where=path, mend="get the file anew: it holds no more than a header")
    if ragged:
        listed = ", ".join(map(str, ragged[:MOST_LISTED])) + (", …" if len(ragged) > MOST_LISTED else "")
        log.warning("%s: %d rows have too few or too many cells and are left out: lines %s", path, len(ragged), listed)
    features = Features({name: Value("string") for name in columns.names})
    rows_read = Dataset.from_dict(dict(zip(columns.names, cells, strict=True)), features=features)
    return Table(rows_read, columns, lambda row: f"{path}, line {lines[row]}")
