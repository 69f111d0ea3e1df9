"""The file of predictions, written as they are made."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from ee_lightning.data.tasks import LABEL_SEPARATOR
from ee_lightning.errors import DataError, first_line, hint_for
from ee_lightning.files import check_replaceable, unfinished_of
from ee_lightning.functional import Kind, sigmoid, softmax
from ee_lightning.inference.input import Row
from ee_lightning.inference.texts import TextPrediction, input_name

if TYPE_CHECKING:
    import pyarrow as pa  # which takes a second to import
    import pyarrow.parquet as pq

ENDINGS = (".csv", ".jsonl", ".parquet")


class PredictionFile:
    """Predictions in a file, which holds whole rows alone whenever the process ends.

    A row has an ``id``, the input's or else its number; all other columns of the input; ``label``, ``probability`` (not
    for regression), ``score``, ``exit_layer``, and ``empty``, whether a text of it is blank. If asked for it has
    ``trail``, the logits of all exits that the text passed, and a ``probability_LABEL`` for each label. A column of the
    input that has one of these names is called ``input_NAME``, see `input_name`.

    In CSV, lists are JSON, and several labels stand with a separator between them. JSON knows no infinity and no NaN:
    there they are ``null``. CSV and Parquet have the columns that the input names before its rows, with their types
    where it has such, or else those of the first row.

    Args:
        path: The file that is to be.
        file: Where it is written.
        kind: What is predicted.
        with_trail: Whether to write trails.
        names: The labels to write the probabilities of; these need predictions with trails.
        label_separator: What stands between several labels in a CSV file.
        header: Returns the `RowFile.header` of the input, once its first row was read.

    Attributes:
        num_rows: How many predictions were written.
        num_empty: How many of them are of rows with a blank text.
        left_out: The input's columns that are not written, for the first row has none such.
    """

    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        kind: Kind,
        with_trail: bool,
        names: Sequence[str],
        label_separator: str,
        header: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.path, self.num_rows, self.num_empty, self.left_out = path, 0, 0, set[str]()
        self._file, self._kind, self._separator, self._header = file, kind, label_separator, header
        left_out = {"probability": kind is Kind.REGRESSION, "trail": not with_trail}
        self._fields = [name for name in TextPrediction._fields if not left_out.get(name, False)]
        self._likely = [f"probability_{name}" for name in names]
        self._added = {*self._fields, "empty", *self._likely}
        self._columns = list[str]()
        self._table: pq.ParquetWriter | None = None

    def write(self, rows: Iterable[Row], predictions: Sequence[TextPrediction]) -> None:
        """Write predictions for as many rows, and leave none of them in memory.

        Raises:
            DataError: They can't be written; none of them is in the file then.
        """
        records = list(self._records(rows, predictions))
        with _blaming(self.path, self.num_rows):
            if not self._columns:
                self._begin(records[0])
            self._append(records)
        if self.path.suffix != ".jsonl":
            self.left_out.update(*(record.keys() - self._columns for record in records))
        self.num_rows += len(records)
        self.num_empty += sum(record["empty"] for record in records)

    def finish(self) -> None:
        """Write what stands at the end of the file, and have it on the disk."""
        if not self._columns:
            self._begin({})
        if self.path.suffix == ".parquet":
            if self._table is None:
                self._append([])
            assert self._table is not None
            self._table.close()
        os.fsync(self._file)

    def give_up(self) -> None:
        """Leave the file as it is."""
        if self._table is not None:
            with suppress(Exception):
                self._table.close()

    def _records(self, rows: Iterable[Row], predictions: Sequence[TextPrediction]) -> Iterator[dict[str, Any]]:
        likely: list[list[float]] = [[] for _ in predictions]
        if self._likely:
            likely = probabilities_of([each.trail[-1] for each in predictions if each.trail], self._kind)
        for row, prediction, shares in zip(rows, predictions, likely, strict=True):
            said = {name: getattr(prediction, name) for name in self._fields}
            said |= {"empty": not all(map(str.strip, row.texts)), **dict(zip(self._likely, shares, strict=True))}
            given = {input_name(name, self._added): value for name, value in row.columns.items()}
            yield {"id": row.number, **given, **said}

    def _begin(self, first: Mapping[str, Any]) -> None:
        named = [input_name(name, self._added) for name in self._header()]
        self._columns = [*dict.fromkeys(["id", *named, *first, *self._fields, "empty", *self._likely])]
        if self.path.suffix == ".csv":
            self._append_text(_as_csv([self._columns]))

    def _append(self, records: list[dict[str, Any]]) -> None:
        if self.path.suffix == ".parquet":
            self._append_to_table(records)
        elif self.path.suffix == ".csv":
            self._append_text(_as_csv([self._cell(row, name) for name in self._columns] for row in records))
        else:
            self._append_text("".join(f"{_as_json(row)}\n" for row in records))

    def _cell(self, row: dict[str, Any], name: str) -> object:
        value = row.get(name)
        if name == "label" and isinstance(value, list):
            return self._separator.join(value)
        return _as_json(value) if isinstance(value, list | dict) else value

    def _append_text(self, text: str) -> None:
        """Write a text, or where a part of it alone can be written, nothing."""
        size, left = self._file.tell(), text.encode(errors="backslashreplace")
        try:
            while left:
                left = left[self._file.write(left) :]
        except BaseException:
            self._file.truncate(size)
            raise

    def _append_to_table(self, records: list[dict[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [{name: row.get(name) for name in self._columns} for row in records]
        try:
            if self._table is None:
                self._table = pq.ParquetWriter(self._file, pa.schema(self._types(rows)))
            self._table.write_table(pa.Table.from_pylist(rows, self._table.schema))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            hint = "a column must hold one type: write a .jsonl"
            raise DataError(f"predictions can't be written: {first_line(error)}", where=self.path, hint=hint) from error

    def _types(self, rows: Sequence[Mapping[str, Any]]) -> "dict[str, pa.DataType]":
        """Return the type of each column: as the input says, or else as its first rows have it."""
        import pyarrow as pa

        known = {input_name(name, self._added): kind or pa.string() for name, kind in self._header().items()}
        known |= {**prediction_types(self._kind), "empty": pa.bool_(), **dict.fromkeys(self._likely, pa.float64())}
        if "trail" in self._added:
            known["trail"] = pa.list_(pa.list_(pa.float64()))
        unknown = [{name: value for name, value in row.items() if name not in known} for row in rows]
        types = {name: known.get(name, pa.string()) for name in self._columns}
        types["id"] = known.get("id", pa.int64())
        return types | {each.name: _without_null(each.type) for each in pa.Table.from_pylist(unknown).schema}


def prediction_types(kind: Kind) -> "dict[str, pa.DataType]":
    """Return the columns of the predictions in a table of Arrow, and their types."""
    import pyarrow as pa

    of_label = pa.float64() if kind is Kind.REGRESSION else pa.string()
    types = {"label": of_label, "probability": pa.float64(), "score": pa.float64(), "exit_layer": pa.int32()}
    if kind is Kind.REGRESSION:
        del types["probability"]
    elif kind is Kind.MULTI_LABEL:
        types |= {name: pa.list_(types[name]) for name in ("label", "probability")}
    return types


def _without_null(kind: "pa.DataType") -> "pa.DataType":
    """Return a type with texts in it where the first rows had nothing, also in lists and mappings."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(_without_null(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _without_null(field.type)) for field in kind])
    return pa.string() if pa.types.is_null(kind) else kind


def probabilities_of(logits: ArrayLike, kind: Kind) -> Any:
    """Return the probabilities of all labels as lists, of the same shape [..., labels]."""
    given: Any = np.asarray(logits, dtype=np.float32)
    return (sigmoid(given) if kind is Kind.MULTI_LABEL else softmax(given)).tolist()


@contextmanager
def writing(
    path: Path,
    kind: Kind = Kind.SINGLE_LABEL,
    *,
    with_trail: bool = False,
    names: Sequence[str] = (),
    label_separator: str = LABEL_SEPARATOR,
    header: Callable[[], Mapping[str, Any]] = dict,
) -> Iterator[PredictionFile]:
    """Open a file for predictions, which takes the place of what stands there once there is something in it.

    That is at the end, or where an error or an interrupt stops it after the first prediction; without any, what stood
    there stays. A process that is killed leaves a hidden file beside it whose name ends in ``.unfinished``.

    Args:
        path: The file; its folder need not exist yet. A link of this name is replaced.
        kind: What is predicted.
        with_trail: Whether to write trails.
        names: The labels to write the probabilities of; these need predictions with trails.
        label_separator: What stands between several labels in a CSV file.
        header: Returns the `RowFile.header` of the input, once its first row was read.

    Raises:
        DataError: It can't be written, or its ending is not known.
    """
    check_writable(path)
    unfinished = unfinished_of(path)
    with _opened(path, unfinished) as file:
        predictions = PredictionFile(path, file, kind, with_trail, names, label_separator, header)
        try:
            yield predictions
        except BaseException:
            if predictions.num_rows:
                _put_in_place(predictions, unfinished)
            else:
                predictions.give_up()
            raise
        _put_in_place(predictions, unfinished)


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
    """Raise a `DataError` for a file that can't be one of predictions, before anything is loaded."""
    if path.suffix not in ENDINGS:
        raise DataError(
            f"it is not known how to write {str(path)!r}", where=path, hint=f"use a file in {', '.join(ENDINGS)}"
        )
    if path.exists() and not path.is_file():
        raise DataError("predictions can't be written: this is no file", where=path, hint="name another file")


def _put_in_place(predictions: PredictionFile, unfinished: Path) -> None:
    with _blaming(predictions.path, predictions.num_rows):
        predictions.finish()
        unfinished.replace(predictions.path)


def _as_csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _as_json(value: object) -> str:
    return json.dumps(_finite(value), allow_nan=False, default=str)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
