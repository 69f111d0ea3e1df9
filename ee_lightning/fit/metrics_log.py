"""The run folder's ``metrics.csv``, which a run that was interrupted takes up again."""

import csv
from io import StringIO
from pathlib import Path

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from ee_lightning.files import reading, writing, written_whole


class MetricsLog(CSVLogger):
    """Lightning's logger into ``metrics.csv``, which can go on after the row at which a checkpoint was written."""

    @property
    @rank_zero_experiment
    def experiment(self) -> "MetricsFile":
        """The writer of the file; on the first process only."""
        if not isinstance(self._experiment, MetricsFile):
            self._experiment = MetricsFile(self.log_dir)
        return self._experiment

    def take_new_folder(self) -> str:
        """Make the folder of a version that no other process has, if folders can be made there, and return it."""
        while True:
            try:
                Path(self.log_dir).mkdir(parents=True)
            except OSError:
                if Path(self.log_dir).is_dir():
                    self._version = None
                    continue
            return self.log_dir


class MetricsFile(ExperimentWriter):
    """Appends rows to ``metrics.csv``, which is written again, whole or not at all, where its columns change.

    Attributes:
        num_rows: The rows that count: any others that an earlier process left are dropped with the first row written.
    """

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self.num_rows = 0

    def save(self) -> None:
        """Write all rows logged since the last time, or drop them and raise a `RunFolderError`."""
        logged, self.metrics = self.metrics, []
        if not logged:
            return
        path = Path(self.metrics_file_path)
        if new_columns := set().union(*logged) - set(self.metrics_keys):
            columns, rows = _read(path, self.num_rows)
            keys = sorted({*self.metrics_keys, *columns, *new_columns})
            with written_whole(path) as unfinished, unfinished.open("w", newline="") as file:
                writer = csv.DictWriter(file, keys)
                writer.writeheader()
                writer.writerows([*rows, *logged])
            self.metrics_keys, self.num_rows = keys, len(rows)
        else:
            text = StringIO(newline="")
            csv.DictWriter(text, self.metrics_keys).writerows(logged)
            _append(path, text.getvalue().encode())
        self.num_rows += len(logged)

    def _check_log_dir_exists(self) -> None:
        """Keep what is there, which the base class would delete."""


def _append(path: Path, rows: bytes) -> None:
    with writing(path), path.open("ab", buffering=0) as file:
        end, left = file.tell(), memoryview(rows)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(end)
            raise


def _read(path: Path, num_rows: int) -> tuple[list[str], list[dict[str, str]]]:
    """Read a file's columns and first rows, if it is to be taken up again at all."""
    if num_rows == 0 or not path.is_file():
        return [], []
    with reading(path, hint="delete it: nothing but its rows is lost"), path.open(newline="") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or []), [row for _, row in zip(range(num_rows), reader, strict=False)]
