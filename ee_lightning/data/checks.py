"""Checks of rows before training: errors for what is wrong, warnings for what is odd."""

import logging
import os
from collections.abc import Callable
from functools import wraps
from itertools import compress
from typing import Any, ParamSpec

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from ee_lightning.data.tasks import Task
from ee_lightning.data.tokenised import column, column_in_parts
from ee_lightning.errors import DataError

PART_BITS = 3
"""Texts are compared with each other in so many halvings, as there may be millions."""
log = logging.getLogger(__name__)
_Arguments = ParamSpec("_Arguments")


def on_first_process(warn: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Let only the first of the processes that train together warn; the others have the same to say."""

    @wraps(warn)
    def warn_once(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank = torch.distributed.get_rank()
        else:  # the names by which torchrun, Lightning and SLURM number processes
            ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
            rank = next((int(rank) for rank in ranks if rank), 0)
        if rank == 0:
            warn(*args, **kwargs)

    return warn_once


def refuse_unlabelled(labels: NDArray[Any], task: Task, split: str, where: object) -> None:
    """Raise an error for rows without labels, which are [rows], or of several a row [rows, labels].

    Raises:
        DataError: Some rows have none.
    """
    lacks = np.isnan(labels) if np.isnan(task.unlabelled) else labels == task.unlabelled  # like labels
    missing = int(np.sum(lacks.reshape(len(labels), -1).any(axis=1)))
    if missing:
        raise DataError(
            f"split {split!r} of {task.name} has no labels: {missing} of {len(labels)} rows lack one",
            where=where,
            hint="run validate, whose split has labels, or predict, which needs none",
        )


def refuse_one_label(labels: NDArray[Any], num_rows: int, task: Task, where: object) -> None:
    """Raise an error for training rows of which nothing can be learnt, as all have the same label.

    Args:
        labels: The labels of the rows that are trained on, [rows], or of several a row [rows, labels].
        num_rows: How many rows the training split has, some of which may be left out.
        task: Their task.
        where: Where they come from.

    Raises:
        DataError: All are the same.
    """
    if (labels == labels[0]).all():
        what = f"training rows of {task.name}"
        hint = "give rows of other labels too; is the file sorted and cut short, or is it another column?"
        if len(labels) < num_rows:
            what, hint = f"of {num_rows} {what} that are trained on", f"train on more (--data.limit_train); or {hint}"
        raise DataError(f"all {len(labels)} {what} have {_in_words(labels[0], task)}", where=where, hint=hint)


def tell_cut(rows: Dataset, split: str, max_length: int) -> None:
    """Say how many rows lost tokens."""
    if num_cut := int(column(rows, "is_cut").sum()):
        share = num_cut / len(rows)
        log.warning(
            "%d of %d %s rows (%.1f %%) are cut to %d tokens", num_cut, len(rows), split, 100 * share, max_length
        )


def tell_repeated(train: Dataset) -> None:
    """Warn of rows that repeat the texts of an earlier one, which are trained on so many times as they stand there."""
    num_different = sum(_num_different(train, part) for part in range(2**PART_BITS))
    if num_repeated := len(train) - num_different:
        log.warning("%d of %d train rows have the same texts as an earlier one", num_repeated, len(train))


def _num_different(rows: Dataset, part: int) -> int:
    """Return how many different texts there are among those whose hash begins with the bits of a part."""
    shift = np.uint64(64 - PART_BITS)
    parts = [hashes[hashes >> shift == part] for hashes in column_in_parts(rows, "text_hash")]
    return len(np.unique(np.concatenate(parts)))


def tell_overlap(train: Dataset, unseen: Dataset, split: str) -> None:
    """Warn of rows that have the texts of a training row, and therefore look better than new rows would."""
    hashes, counts = np.unique(column(unseen, "text_hash"), return_counts=True)  # [different texts]
    is_seen = np.zeros(len(hashes), dtype=bool)
    for part in column_in_parts(train, "text_hash"):
        places = np.searchsorted(hashes, part).clip(max=len(hashes) - 1)  # [rows of the part]
        is_seen[places[hashes[places] == part]] = True
    if num_seen := int(counts[is_seen].sum()):
        log.warning(
            "%d of %d %s rows have the same texts as a training row: they say little about new rows",
            num_seen,
            len(unseen),
            split,
        )


@on_first_process
def tell_drawn(num_drawn: int, num_rows: int, split: str, option: str) -> None:
    """Warn that some rows of a split stand for all."""
    if 0 < num_drawn < num_rows:
        log.warning("%s limits the evaluation to %d of %d %s rows, drawn at random", option, num_drawn, num_rows, split)


def _in_words(label: Any, task: Task) -> str:
    if task.multi_label:
        names = task.label_separator.join(compress(task.label_names, label))
        return f"the labels {names!r}" if names else "no label"
    return f"the label {task.label_names[label] if task.label_names else f'{label:g}'!r}"
