"""Splits that a task comes without, held out of its training rows."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from ee_lightning.data.selection import leave_rows
from ee_lightning.data.sources.rows import TEXT_COLUMNS, Source
from ee_lightning.errors import DataError

BATCH = 10_000


class HeldOutSource:
    """A source that gives shares of another's training rows for splits that the other lacks.

    Which rows these are hangs on their texts alone: equal rows stay together, on every machine, in any order, and
    whatever the seed.

    Args:
        source: Where the rows come from.
        shares: For each split that it may lack, the share of its training rows.
    """

    def __init__(self, source: Source, shares: Mapping[str, float]) -> None:
        self.source, self.shares = source, shares

    def has(self, split: str) -> bool:
        """Whether the source has a split, or training rows to hold it out of."""
        return self.source.has(split) or (split in self.shares and self.source.has("train"))

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`."""
        missing = self._missing
        if split != "train" and split not in missing:
            return self.source.load(split)
        if not missing:
            return self._train
        rows = np.flatnonzero(self._owners == (missing.index(split) if split in missing else len(missing)))
        if not len(rows):
            raise DataError(
                f"no row falls to the {split} split, as rows with the same texts stay together",
                where=f"{len(self._train)} training rows, of which {dict(self.shares)} are to be held out",
                mend=f"give a {split} split of its own, more rows with texts of their own, or other shares",
            )
        return leave_rows(self._train, rows)

    def files(self, split: str) -> list[str]:
        """Name the files that a split is read from; see `Source.files`."""
        return self.source.files("train" if split in self._missing else split)

    @cached_property
    def _missing(self) -> list[str]:
        return [name for name in self.shares if not self.source.has(name)]

    @cached_property
    def _train(self) -> Dataset:
        return self.source.load("train")

    @cached_property
    def _owners(self) -> NDArray[np.uint8]:
        """Give every training row the number of the missing split that its texts fall to, [rows]; the last is train."""
        names = [name for name in TEXT_COLUMNS if name in self._train.column_names]
        ends = np.cumsum([self.shares[name] for name in self._missing])  # [missing splits]
        owners = np.empty(len(self._train), np.uint8)
        for number, batch in enumerate(self._train.select_columns(names).iter(batch_size=BATCH)):
            texts = zip(*(batch[name] for name in names), strict=True)
            fractions = [hash_of("\0".join(each)) / 2**64 for each in texts]
            owners[number * BATCH :][: len(fractions)] = np.searchsorted(ends, fractions, side="right")
        return owners


def hash_of(text: str) -> int:
    """Give a number from 0 to 2⁶⁴ − 1 that hangs on a text alone: the start of its SHA-256.

    Args:
        text: The text.

    Example:
        >>> hash_of("a gripping film .") % 10
        3
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
