"""The file of predictions, written as they are made."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ee_lightning.data.tasks import LABEL_SEPARATOR
from ee_lightning.errors import DataError, hint_for
from ee_lightning.files import check_replaceable, unfinished_of
from ee_lightning.inference.texts import TextPrediction

ENDINGS = (".csv", ".jsonl")


class PredictionFile:
    """Predictions in a file, which holds whole rows alone whenever the process ends.

    A row has an ``id``, ``label``, ``probability`` (not for regression), ``score`` and ``exit_layer``, and if asked for
    ``trail``, the logits of all exits that the text passed, which a CSV file holds as JSON. JSON knows no infinity and
    no NaN: there they are ``null``. Several labels are a list, and their probabilities another, which a CSV file holds
    as JSON; the labels stand there with a separator between them.

    Attributes:
        path: The file that is to be, a ``.csv`` or ``.jsonl``.
        num_rows: How many predictions were written.
    """

    def __init__(self, path: Path, file: BinaryIO, columns: list[str], label_separator: str) -> None:
        self.path, self.num_rows = path, 0
        self._file, self._columns, self._separator = file, columns, label_separator
        if self._is_csv:
            self._append(_as_csv([columns]))

    def write(self, ids: Iterable[int], predictions: list[TextPrediction]) -> None:
        """Write predictions of rows of as many numbers, or raise a DataError and write none of them."""
        rows = [{"id": number, **each._asdict()} for number, each in zip(ids, predictions, strict=True)]
        with _blaming(self.path, self.num_rows):
            self._append(
                _as_csv([self._cell(row, name) for name in self._columns] for row in rows)
                if self._is_csv
                else "".join(f"{_as_json({name: row[name] for name in self._columns})}\n" for row in rows)
            )
        self.num_rows += len(rows)

    @property
    def _is_csv(self) -> bool:
        return self.path.suffix == ".csv"

    def _cell(self, row: dict[str, Any], name: str) -> object:
        value = row[name]
        if name == "label" and isinstance(value, list):
            return self._separator.join(value)
        return _as_json(value) if isinstance(value, list) else value

    def _append(self, text: str) -> None:
        """Write a text, or where a part of it alone can be written, nothing."""
        size, left = self._file.tell(), text.encode()
        try:
            while left:
                left = left[self._file.write(left) :]
        except BaseException:
            self._file.truncate(size)
            raise


@contextmanager
def writing(
    path: Path, *, is_regression: bool, with_trail: bool, label_separator: str = LABEL_SEPARATOR
) -> Iterator[PredictionFile]:
    """Open a file for predictions, which takes the place of what stands there once there is something in it.

    That is at the end, or where an error or an interrupt breaks off after the first prediction; without any, what stood
    there stays. A process that is killed leaves a hidden file beside it whose name ends in ``.unfinished``.

    Args:
        path: The file; its folder need not exist yet. A link of this name is replaced.
        is_regression: Whether labels are values, without a probability.
        with_trail: Whether to write trails.
        label_separator: What stands between several labels in a CSV file.

    Raises:
        DataError: It can't be written, or its ending is not known.
    """
    check_writable(path)
    left_out = {"probability": is_regression, "trail": not with_trail}
    columns = ["id", *(name for name in TextPrediction._fields if not left_out.get(name, False))]
    unfinished = unfinished_of(path)
    with _opened(path, unfinished) as file:
        with _blaming(path):
            predictions = PredictionFile(path, file, columns, label_separator)
        try:
            yield predictions
        except BaseException:
            if predictions.num_rows:
                _put_in_place(file, unfinished, path)
            raise
        _put_in_place(file, unfinished, path)


@contextmanager
def _opened(path: Path, unfinished: Path) -> Iterator[BinaryIO]:
    """Open the hidden file that is to become a file of predictions, and remove it where it did not."""
    with _blaming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(path)
        opened = unfinished.open("wb", buffering=0)
    try:
        with opened as file:
            yield file
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _blaming(path: Path, num_rows: int = 0) -> Iterator[None]:
    """Blame a file of predictions for what the operating system says of it, but not of anything else."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"predictions can't be written: {error.strerror}; rows written before: {num_rows}",
            where=path,
            hint=hint_for(error, "make room, or name another file"),
        ) from error


def check_writable(path: Path) -> None:
    """Raise a DataError for what is neither a ``.csv`` nor a ``.jsonl`` file, before anything is loaded."""
    if path.suffix not in ENDINGS:
        raise DataError(
            f"it is not known how to write {str(path)!r}", where=path, hint=f"use a file in {' or '.join(ENDINGS)}"
        )
    if path.exists() and not path.is_file():
        raise DataError("predictions can't be written: this is no file", where=path, hint="name another file")


def _put_in_place(file: BinaryIO, unfinished: Path, target: Path) -> None:
    with _blaming(target):
        os.fsync(file.fileno())
        unfinished.replace(target)


def _as_csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _as_json(value: object) -> str:
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
