"""Rows of texts from files, read as they are needed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ee_lightning.data import Task
from ee_lightning.data.row_files import Bad, Chooser, open_row_file
from ee_lightning.errors import DataError
from ee_lightning.inference.texts import LeavesOut, Texts


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        number: Its number, from 0; rows that are left out count.
        texts: Its text, or its two.
        columns: All that the file says of it, by column.
    """

    number: int
    texts: Texts
    columns: Mapping[str, Any] = MappingProxyType({})


class InputRows(LeavesOut):
    """The texts of a file, row by row.

    Args:
        path: The file, of one of the kinds in `ee_lightning.data.row_files`.
        choices: By which names its text, or its two texts, may go; the first choice that is there counts.
        skip_bad_rows: Leave out rows that can't be read, and count them.

    Raises:
        DataError: Its ending is not known, there is no such file, or it can't be read.
    """

    def __init__(self, path: Path, choices: Sequence[Texts], *, skip_bad_rows: bool = False) -> None:
        super().__init__()
        self._file, self._skips = open_row_file(path), skip_bad_rows
        self._choose = Chooser(choices, advice="name the columns of the texts with --text-columns", whole=True)

    @property
    def size(self) -> int:
        """The size of the file, in bytes or rows."""
        return self._file.size

    @property
    def header(self) -> Mapping[str, Any]:
        """The columns that the file names before its rows, as of `RowFile.header`."""
        return self._file.header

    @property
    def done(self) -> int:
        """How much of it was read."""
        return self._file.done

    def __iter__(self) -> Iterator[Row]:
        """Read the rows, or raise a DataError if the file, its columns or a row that is not left out can't be read."""
        for number, (line, row) in enumerate(self._file.rows(self._choose)):
            if not isinstance(row, Bad):
                yield Row(number, row, self._file.row)
            elif self._skips:
                self.leave_out(self._file.place(line), row.reason)
            else:
                raise DataError(
                    f"a row can't be read: {row.reason}",
                    where=self._file.place(line),
                    hint=f"{row.hint}; or leave such rows out: --skip-bad-rows",
                )


class OwnRows:
    """The rows of a split of a task, from where a run had its data.

    Args:
        task: The task.
        root: Where its rows are; None for the hub.
        split: The split.

    Attributes:
        header: The columns that are given with the texts, which are none.
        size: How many rows there are.
        done: How many of them were given.
        files: The names of the files that they are numbered in.

    Raises:
        DataError: They are not available.
    """

    def __init__(self, task: Task, root: str | None, split: str = "test") -> None:
        from ee_lightning.data.sources import open_source  # which takes seconds to import

        hint = "bring the run's data back to where its config.yaml says (data.root), or give rows: --input FILE"
        try:
            source = open_source(root, task)
            if source.has("train") and not source.has(split):
                hint = f"the run's data have no {split} split: give rows with --input FILE"
            self._rows, self.files = source.load(split), source.files(split)
        except DataError as error:
            raise DataError(error.what, where=error.where, hint=hint) from error
        self.header: Mapping[str, Any] = {}
        self.size, self.done = len(self._rows), 0

    def __iter__(self) -> Iterator[Row]:
        """Return the rows, in the order of the split."""
        from ee_lightning.data.arrow_files import NUMBER
        from ee_lightning.data.read import TEXT_COLUMNS

        columns = [name for name in (NUMBER, *TEXT_COLUMNS) if name in self._rows.column_names]
        for position, row in enumerate(self._rows.select_columns(columns)):
            self.done += 1
            yield Row(row.pop(NUMBER, position), tuple(row.values()))
