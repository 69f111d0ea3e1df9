"""The rows that a run's own task has for its test split."""

from collections.abc import Iterator

from ee_lightning.data.batches import NUMBER
from ee_lightning.data.read import TEXT_COLUMNS
from ee_lightning.data.sources import open_source
from ee_lightning.errors import DataError
from ee_lightning.inference.input import Row
from ee_lightning.runs.load_run import RunOptions

SPLIT = "test"


class OwnRows:
    """The rows of the test split, from where the run had its data.

    Args:
        options: The run's.

    Attributes:
        size: How many rows there are.
        done: How many of them were given.
        files: The names of the files that they are numbered in.

    Raises:
        DataError: They are not available.
    """

    def __init__(self, options: RunOptions) -> None:
        try:
            source = open_source(options.root, options.task)
            self._rows, self.files = source.load(SPLIT), source.files(SPLIT)
        except DataError as error:
            raise DataError(
                error.what,
                where=error.where,
                hint="bring the run's data back to where its config.yaml says (data.root), or give rows: --input FILE",
            ) from error
        self.size, self.done = len(self._rows), 0

    def __iter__(self) -> Iterator[Row]:
        """Return the rows, in the order of the split."""
        columns = [name for name in (NUMBER, *TEXT_COLUMNS) if name in self._rows.column_names]
        for position, row in enumerate(self._rows.select_columns(columns)):
            self.done += 1
            yield Row(row.pop(NUMBER, position), tuple(row.values()))
