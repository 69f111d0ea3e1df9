"""The labelled rows of one file, for a model that says what its labels are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset

from ee_lightning.data.arrow_files import read_parquet
from ee_lightning.data.read import read_text_file, rows_of
from ee_lightning.data.row_files import PARQUET, USUAL_LABELS, Chooser, TableFile, open_row_file
from ee_lightning.data.tasks import Task
from ee_lightning.errors import DataError

_SPLIT = "validation"  # whose rows all have labels


def read_labelled(
    file: Path, task: Task, text_choices: Sequence[tuple[str, ...]], label_column: str | None = None
) -> Dataset:
    """Return the rows of a file with the columns ``text_a``, ``text_b`` for pairs only, and ``label``, a task's number.

    Args:
        file: The file, of one of the kinds in `ee_lightning.data.row_files`.
        task: What the labels are.
        text_choices: By which names its text, or its two texts, may go; the first choice that is there counts.
        label_column: What the file calls the label; None takes the task's names and the usual ones.

    Raises:
        DataError: The file can't be read or lacks a column, or a row has no label or that of another task.
    """
    texts, labels, glue = [*text_choices], [task.label_columns or (task.label_column,), *USUAL_LABELS], task.glue
    if glue is not None:
        texts, labels = [*texts, glue.text_columns or task.text_columns], [(glue.label_column,), *labels]
    labels = [(label_column,)] if label_column else labels
    advice = f"the model is of the task {task.name}; name others with --text-columns and --label-column"
    choose = Chooser(texts, labels, advice=advice)
    opened = open_row_file(file)  # which checks that it can be read
    if file.suffix.lower() == PARQUET:
        table = read_parquet([file], choose)
    elif isinstance(opened, TableFile) and glue is not None:
        table = read_text_file(TableFile(file, glue.headerless), choose, skips_ragged=glue.skips_ragged)
    else:
        table = read_text_file(opened, choose)
    rows = rows_of(table, task, _SPLIT)
    numbers = np.asarray(rows["label"])  # [rows], or [rows, labels]
    lacks = np.isnan(numbers) if np.isnan(task.unlabelled) else numbers == task.unlabelled
    if missing := int(lacks.reshape(len(rows), -1).any(axis=1).sum()):
        hint = "give every row a label, or leave such rows out"
        raise DataError(f"{missing} of {len(rows)} rows have no label", where=file, hint=hint)
    return rows
