"""Batches of rows of similar length, padded to the longest row."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from datasets.table import InMemoryTable
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data.distributed import DistributedSampler

from ee_lightning.data.encoding import pad_tokens

UNASKED = "unasked"
"""The fingerprint of rows that are found again by their content alone; to work one out takes copies of a column."""

NUMBER = "number"
"""The column with the numbers of rows in their file, where these are not their positions in the data set."""


def select_rows(rows: Dataset, numbers: NDArray[np.integer]) -> Dataset:
    """Select rows by their positions, [selected], as `Dataset.select` does, in 8 bytes a row; none is copied."""
    if rows._indices is not None:  # these are selected themselves
        return rows.select(numbers)
    indices = InMemoryTable(pa.table({"indices": pa.array(numbers.astype(np.uint64, copy=False))}))
    return Dataset(rows.data, info=rows.info, indices_table=indices, fingerprint=UNASKED)


def arrow_column(rows: Dataset, name: str) -> pa.ChunkedArray:
    """Return a column of a data set as it lies on the disk or in memory, [rows]."""
    values = rows.data.column(name)
    return values if rows._indices is None else values.take(rows._indices.column(0))


def leave_rows(rows: Dataset, kept: NDArray[np.integer]) -> Dataset:
    """Select rows by their positions, [kept], and keep their numbers in their file, in the column `NUMBER`."""
    if NUMBER not in rows.column_names:
        rows = with_numbers(rows, np.arange(len(rows)))
    return select_rows(rows, kept)


def with_numbers(rows: Dataset, numbers: NDArray[np.integer]) -> Dataset:
    """Add the numbers of the rows in their file, from 0, [rows]."""
    return rows.add_column(NUMBER, pa.array(numbers.astype(np.int64, copy=False)), new_fingerprint=UNASKED)


MEGABATCH = 50


class LengthBucketedBatches(DistributedSampler[list[int]]):
    """Yield lists of row indices for `DataLoader(sampler=…, batch_size=None)`.

    For training, the rows are shuffled by seed and epoch, sorted by length within stretches of 50 batches, and the
    batches are shuffled again. For evaluation, all rows are sorted by length, longest first, so that a batch that
    doesn't fit the memory shows at once. If only the first batches of an evaluation are to be used, these hold rows
    drawn by the seed, longest first, and the other rows follow in the same way.

    With several processes, every process forms the same global batches of `batch_size * world_size` rows and takes
    every `world_size`-th row of each. All processes yield the same number of batches and none is empty: where the last
    global batch has fewer rows than there are processes, rows from the start of the order fill it up, so consumers
    of an evaluation must drop rows whose id they have seen.

    It is a `DistributedSampler` for the isinstance check by which Lightning knows a sampler that shares out the rows
    itself; Lightning wraps any other in one of its own.

    Args:
        lengths: The length of each row, [rows].
        batch_size: Rows a batch and process.
        shuffle: True for training.
        seed: With the epoch, decides the shuffle; not negative.
        rank: This process, from 0.
        world_size: The number of processes.
        limit: How much of an evaluation is used, as Lightning takes it: an int is a number of batches, a float a share
            of them.

    Example:
        >>> list(LengthBucketedBatches([3, 9, 1, 5], batch_size=2, shuffle=False))
        [[1, 3], [0, 2]]
    """

    def __init__(
        self,
        lengths: Sequence[int] | NDArray[np.integer],
        batch_size: int,
        *,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        limit: float = 1.0,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int32)
        # The base class asks its data set for no more than a length.
        super().__init__(self.lengths, world_size, rank, shuffle, seed)  # type: ignore[arg-type]
        self.global_batch_size = batch_size * world_size
        self._limit = limit
        self._done = (0, 0)

    @property
    def num_used(self) -> int:
        """How many batches of an evaluation the limit leaves, which are the first ones."""
        whole = len(self)
        return min(whole, self._limit) if isinstance(self._limit, int) else int(whole * self._limit)

    @property
    def num_drawn(self) -> int:
        """How many rows there are in these batches, over all processes."""
        return min(len(self.lengths), self.num_used * self.global_batch_size)

    def go_on(self, epoch: int, done: int) -> None:
        """Start with an epoch, and leave out its first ``done`` batches whenever it is asked for."""
        self.set_epoch(epoch)
        self._done = (epoch, done)

    def __len__(self) -> int:
        """The number of batches of a whole epoch, the same on every process."""
        return -(-len(self.lengths) // self.global_batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process's share of every global batch of the epoch that `set_epoch` named."""
        epoch, done = self._done
        for batch in islice(self._global_batches(), done if self.epoch == epoch else 0, None):
            yield batch[self.rank :: self.num_replicas].tolist()

    def _global_batches(self) -> Iterator[NDArray[np.integer]]:
        random = np.random.default_rng((self.seed, self.epoch))
        order = self._order(random)
        for place in random.permutation(len(self)) if self.shuffle else range(len(self)):
            batch = order[place * self.global_batch_size :][: self.global_batch_size]
            yield np.concatenate([batch, np.resize(order, max(0, self.num_replicas - len(batch)))])

    def _order(self, random: np.random.Generator) -> NDArray[np.integer]:
        """Return the rows as they are cut into batches, [rows], in the smallest type, as there may be millions."""
        number = np.min_scalar_type(len(self.lengths))
        if not self.shuffle:
            return self._longest_first_of_drawn().astype(number)
        order = random.permutation(np.arange(len(self.lengths), dtype=number))
        num_complete, stretch = len(order) - len(order) % self.global_batch_size, MEGABATCH * self.global_batch_size
        for start in range(0, num_complete, stretch):
            rows = order[start : min(start + stretch, num_complete)]
            rows[:] = rows[np.argsort(self.lengths[rows], kind="stable")]
        return order

    def _longest_first_of_drawn(self) -> NDArray[np.integer]:
        """Return the rows that were drawn, longest first, and then the others, [rows]."""
        is_other = np.ones(len(self.lengths), dtype=bool)  # [rows]
        is_other[np.random.default_rng(self.seed).permutation(len(self.lengths))[: self.num_drawn]] = False
        return np.lexsort((-self.lengths, is_other))


class PadCollator:
    """Make tensors of a batch of tokenised rows, padded on the right to the longest of them.

    Args:
        pad_token_id: The token that fills `input_ids`.
        pad_token_type_id: What fills `token_type_ids`.
        pad_to_multiple_of: Round the padded length up to a multiple of this, for hardware that wants it.

    Example:
        >>> batch = PadCollator(0, 0)({"input_ids": [[5, 6], [7]], "label": [1, 0], "id": [3, 9]})
        >>> batch["input_ids"].tolist(), batch["attention_mask"].tolist()
        ([[5, 6], [7, 0]], [[1, 1], [1, 0]])
    """

    def __init__(self, pad_token_id: int, pad_token_type_id: int, pad_to_multiple_of: int | None = None) -> None:
        self.fills = {"input_ids": pad_token_id, "token_type_ids": pad_token_type_id}
        self.multiple = pad_to_multiple_of or 1

    def __call__(self, rows: Mapping[str, list[Any]]) -> dict[str, Tensor]:
        """Pad a batch.

        Args:
            rows: The columns `input_ids`, `token_type_ids` where the backbone has them, `label` and `id`, with one
                entry a row; other columns are dropped.

        Returns:
            `input_ids`, `attention_mask` and `token_type_ids` where given, all [batch, tokens]; `labels` and `ids`,
            both [batch], or of several labels a row [batch, labels]; int64, but for the scores of a regression, in
            float32. The mask is 1 on tokens and 0 on padding.
        """
        columns = {name: rows[name] for name in self.fills if name in rows}
        batch = pad_tokens(columns, self.fills, self.multiple)
        return batch | {"labels": torch.tensor(rows["label"]), "ids": torch.tensor(rows["id"])}  # [batch]
