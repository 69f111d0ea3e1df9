"""The file of predictions, written as they are made."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ee_lightning.errors import DataError
from ee_lightning.inference.texts import TextPrediction

ENDINGS = (".csv", ".jsonl")


class PredictionFile:
    """Predictions in a file, which holds whole rows whenever the process ends.

    A row has an ``id``, ``label``, ``probability`` (not for regression), ``score`` and ``exit_layer``, and if asked for
    ``trail``, the logits of all exits that the text passed, which a CSV file holds as JSON.

    Attributes:
        path: The file, a ``.csv`` or ``.jsonl``.
        num_rows: How many predictions were written.
    """

    def __init__(self, path: Path, file: TextIO, columns: list[str]) -> None:
        self.path, self.num_rows = path, 0
        self._file, self._columns = file, columns
        if self._is_csv:
            file.write(_as_csv([columns]))

    def write(self, ids: Iterable[int], predictions: list[TextPrediction]) -> None:
        """Write predictions, and leave none of them in memory.

        Args:
            ids: As many numbers.
            predictions: The predictions.
        """
        rows = [{"id": number, **each._asdict()} for number, each in zip(ids, predictions, strict=True)]
        self._file.write(
            _as_csv([self._cell(row, name) for name in self._columns] for row in rows)
            if self._is_csv
            else "".join(f"{json.dumps({name: row[name] for name in self._columns})}\n" for row in rows)
        )
        self._file.flush()
        self.num_rows += len(rows)

    @property
    def _is_csv(self) -> bool:
        return self.path.suffix == ".csv"

    def _cell(self, row: dict[str, Any], name: str) -> object:
        return json.dumps(row[name]) if name == "trail" else row[name]


@contextmanager
def writing(path: Path, *, is_regression: bool, with_trail: bool) -> Iterator[PredictionFile]:
    """Open a file for predictions, in the place of what stands there.

    Args:
        path: The file; its folder need not exist yet.
        is_regression: Whether labels are values, without a probability.
        with_trail: Whether to write trails.

    Raises:
        DataError: It can't be written, or its ending is not known.
    """
    check_writable(path)
    left_out = {"probability": is_regression, "trail": not with_trail}
    columns = ["id", *(name for name in TextPrediction._fields if not left_out.get(name, False))]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            yield PredictionFile(path, file, columns)
    except OSError as error:
        raise DataError(
            f"predictions can't be written: {error.strerror}", where=path, mend="make room, or name another file"
        ) from error


def check_writable(path: Path) -> None:
    """Refuse a file whose ending is not known, before anything is loaded.

    Raises:
        DataError: It is neither ``.csv`` nor ``.jsonl``.
    """
    if path.suffix not in ENDINGS:
        raise DataError(
            f"it is not known how to write {str(path)!r}", where=path, mend=f"use a file in {' or '.join(ENDINGS)}"
        )


def _as_csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
