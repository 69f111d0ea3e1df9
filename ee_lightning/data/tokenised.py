"""The tokenised rows of a task, split by split, kept on disk and found again by what went into them; and their checks.

A split has the columns `input_ids`, `token_type_ids` where the tokenizer has them, `label`, `id` (the number of the row
in its file, from 0), `length` (its number of tokens), `is_cut` (whether it had more) and `text_hash` (a number that
equal texts share).
"""

import gc
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import compress
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tokenizers
from datasets import Dataset, DatasetDict, Features, List, Value
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ee_lightning.data.arrow_files import NUMBER, arrow_column
from ee_lightning.data.cache import cache_folder, cached, quiet_progress
from ee_lightning.data.encoding import check_max_length, encode, load_tokenizer, tells_texts_apart
from ee_lightning.data.read import TEXT_COLUMNS, Source
from ee_lightning.data.sources import hash_of, open_source
from ee_lightning.data.tasks import Task
from ee_lightning.errors import DataError, listed

FORMAT = 4
BATCH = 10_000
FACTS = {"is_cut": Value("bool"), "text_hash": Value("uint64")}
PARALLELISM = "TOKENIZERS_PARALLELISM"
PART_BITS = 3
"""Texts are compared with each other in so many halvings, as there may be millions."""
log = logging.getLogger(__name__)


class TaskRows:
    """Reads the splits of a task when they are asked for, and tokenises each one once.

    Args:
        task: The task.
        root: Where its rows are, as `open_source` takes it.
        tokenizer: The backbone's, as `load_tokenizer` takes it.
        max_length: The most tokens that a row may have, special ones included; longer rows are cut.

    Attributes:
        files: The names of the files of each split that was read, in order; ids count on from file to file.
    """

    def __init__(self, task: Task, root: str | DatasetDict | None, tokenizer: str, max_length: int) -> None:
        self.task, self.root, self.tokenizer_name, self.max_length = task, root, tokenizer, max_length
        self.files: dict[str, list[str]] = {}
        self._splits: dict[str, Dataset] = {}

    def of(self, split: str) -> Dataset:
        """Return the tokenised rows of a split, in their own order; see `ee_lightning.data.tokenised`.

        Raises:
            DataError: The split is missing, empty or wrong.
            BackboneError: The tokenizer can't be loaded.
            OptionError: The tokenizer is not named, or `max_length` doesn't suit it.
        """
        if split not in self._splits:
            if self.task.trained_on is not None and split != "test":
                raise DataError(
                    f"{self.task.name} has a test split only",
                    where=f"--data.task {self.task.name}",
                    hint=f"train on {self.task.trained_on}, whose models predict it",
                )
            tokenizer, rows = self.tokenizer, self._source.load(split)
            if len(rows) == 0:
                raise DataError(f"split {split!r} of {self.task.name} is empty", where=self.where)
            self.files[split] = self._source.files(split)
            self._splits[split] = tokenised(rows, tokenizer, self.max_length)
        return self._splits[split]

    def has(self, split: str) -> bool:
        """Return whether the task has a split, here or where its rows are."""
        return split in self._splits or self._source.has(split)

    def forget_source(self) -> None:
        """Free the rows as they were read, which are held in memory in part; splits that were read stay."""
        vars(self).pop("_source", None)

    @property
    def where(self) -> str | None:
        """Where the rows are, for messages."""
        return "the DatasetDict" if isinstance(self.root, DatasetDict) else self.root or self.task.hub_path

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer; `load_tokenizer` names what can be wrong with it."""
        return load_tokenizer(self.tokenizer_name)

    @cached_property
    def _source(self) -> Source:
        return open_source(self.root, self.task)


def tokenised(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """Tokenise a split as a source loads it, or take the result of an earlier call on the same rows from the disk.

    Raises:
        OptionError: `max_length` is more than the tokenizer takes, or leaves no room for text.
        DataError: The cache folder can't be written to.
    """
    check_max_length(tokenizer, max_length, pairs="text_b" in rows.column_names)
    key = _key(rows, tokenizer, max_length)
    with ExitStack() as stack:

        def build() -> Dataset:
            scratch = stack.enter_context(TemporaryDirectory(prefix="tokenising-", dir=cache_folder()))
            return _tokenise(rows, tokenizer, max_length, file=f"{scratch}/rows.arrow", fingerprint=key)

        return cached(key, build)


def column(rows: Dataset, name: str) -> NDArray[Any]:
    """Return a column of numbers, [rows], or of equally many in each row, [rows, numbers in a row], in few objects."""
    values = arrow_column(rows, name)
    shape = (len(values), -1) if pa.types.is_fixed_size_list(values.type) else (len(values),)
    flat: NDArray[Any] = (pc.list_flatten(values) if len(shape) == 2 else values).to_numpy()
    return flat.reshape(shape)


def column_in_parts(rows: Dataset, name: str) -> Iterator[NDArray[Any]]:
    """Return a column of numbers in parts as they lie on the disk, each [rows of the part]."""
    return (part.to_numpy() for part in arrow_column(rows, name).chunks)


def positions_of(rows: Dataset, ids: NDArray[np.int64], where: object) -> NDArray[np.int64]:
    """Return the positions of rows with these ids, both [wanted].

    Raises:
        DataError: A row is not there.
    """
    known = column(rows, "id")  # [rows]
    positions = np.searchsorted(known, ids).clip(max=len(known) - 1)  # [wanted]
    if (missing := ids[known[positions] != ids]).size:
        raise DataError(
            f"{missing.size} of {ids.size} rows are no longer there, such as row {missing[0]} (from 0)",
            where=where,
            hint="bring the data back that was evaluated, or evaluate again",
        )
    return positions


def _key(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> str:
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    del content["truncation"], content["padding"]  # set by the last call, whoever made it
    kinds = {name: str(feature) for name, feature in rows.features.items()}
    settings = (FORMAT, tokenizers.__version__, tokenizer.model_input_names, tokenizer.truncation_side, max_length)
    digest = hashlib.sha256(json.dumps([settings, kinds, content], sort_keys=True).encode())
    for batch in rows.with_format("arrow").iter(batch_size=BATCH):
        for part in batch.combine_chunks().to_batches():
            digest.update(part.serialize())
    return digest.hexdigest()


def _tokenise(
    rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, *, file: str, fingerprint: str
) -> Dataset:
    def tokenise(batch: dict[str, list[Any]], positions: list[int]) -> dict[str, list[Any]]:
        columns, too_long = encode(tokenizer, batch["text_a"], batch.get("text_b"), max_length)
        is_cut = np.zeros(len(positions), dtype=bool)
        is_cut[too_long] = True
        texts = zip(*(batch[name] for name in TEXT_COLUMNS if name in batch), strict=True)
        facts: dict[str, Any] = {
            "is_cut": is_cut,
            "text_hash": np.array([hash_of("\0".join(both)) for both in texts], np.uint64),
        }
        lengths = [len(tokens) for tokens in columns["input_ids"]]
        return {**columns, "id": batch.get(NUMBER, positions), "length": lengths, **facts}

    columns = {"label": rows.features["label"], "input_ids": List(Value("int32"))}
    if tells_texts_apart(tokenizer, pairs="text_b" in rows.column_names):
        columns["token_type_ids"] = List(Value("int8"))
    with quiet_progress(len(rows)), _at_full_speed():
        return rows.map(
            tokenise,
            batched=True,
            with_indices=True,
            remove_columns=[column for column in rows.column_names if column != "label"],
            features=Features({**columns, "id": Value("int64"), "length": Value("int32"), **FACTS}),
            cache_file_name=file,
            load_from_cache_file=False,
            new_fingerprint=fingerprint,
            desc="tokenising",
        )


@contextmanager
def _at_full_speed() -> Iterator[None]:
    """Tokenise on every core, unless the user has set that, and look for garbage among the many new objects only.

    The cores are switched off afterwards, else the library warns at each fork of a data worker.
    """
    chosen = os.environ.get(PARALLELISM)
    os.environ[PARALLELISM] = chosen or "true"
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        os.environ[PARALLELISM] = chosen or "false"


def refuse_unlabelled(labels: NDArray[Any], task: Task, split: str, where: object) -> None:
    """Raise a `DataError` for rows without labels, which are [rows], or of several a row [rows, labels]."""
    lacks = np.isnan(labels) if np.isnan(task.unlabelled) else labels == task.unlabelled  # like labels
    if missing := int(np.sum(lacks.reshape(len(labels), -1).any(axis=1))):
        raise DataError(
            f"split {split!r} of {task.name} has no labels: {missing} of {len(labels)} rows lack one",
            where=where,
            hint="run validate, whose split has labels, or predict, which needs none",
        )


def refuse_one_label(labels: NDArray[Any], num_rows: int, task: Task, where: object) -> None:
    """Raise a `DataError` for training rows of which nothing can be learnt, as all have the same label.

    They are [rows], or of several labels a row [rows, labels], and may be some of the split's ``num_rows``.
    """
    if (labels == labels[0]).all():
        what = f"training rows of {task.name}"
        hint = "give rows of other labels too; is the file sorted and cut short, or is it another column?"
        if len(labels) < num_rows:
            what, hint = f"of {num_rows} {what} that are trained on", f"train on more (--data.limit_train); or {hint}"
        raise DataError(f"all {len(labels)} {what} have {_in_words(labels[0], task)}", where=where, hint=hint)


def tell_oddities(rows: Dataset, split: str, train: Dataset | None, task: Task, max_length: int) -> None:
    """Warn of rows of a split that lost tokens or repeat a training row, and of labels that no row has."""
    if split in ("train", "validation") and task.label_names:
        labels = column(rows, "label")  # [rows], or [rows, labels]
        counts = labels.sum(axis=0) if task.multi_label else np.bincount(labels, minlength=task.num_classes)
        if absent := [name for name, count in zip(task.label_names, counts, strict=True) if not count]:
            log.warning("no %s row has one of these labels: %s", split, listed(absent))
    if num_cut := int(column(rows, "is_cut").sum()):
        share = 100 * num_cut / len(rows)
        log.warning("%d of %d %s rows (%.1f %%) are cut to %d tokens", num_cut, len(rows), split, share, max_length)
    if split == "train":
        num_different = sum(_num_different(rows, part) for part in range(2**PART_BITS))
        if num_repeated := len(rows) - num_different:
            log.warning("%d of %d train rows have the same texts as an earlier one", num_repeated, len(rows))
    elif train is not None:
        tell_overlap(train, rows, split)


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


def tell_drawn(num_drawn: int, num_rows: int, split: str, option: str) -> None:
    """Warn that some rows of a split stand for all."""
    if 0 < num_drawn < num_rows:
        log.warning("%s limits the evaluation to %d of %d %s rows, drawn at random", option, num_drawn, num_rows, split)


def _in_words(label: Any, task: Task) -> str:
    if task.multi_label:
        names = task.label_separator.join(compress(task.label_names, label))
        return f"the labels {names!r}" if names else "no label"
    return f"the label {task.label_names[label] if task.label_names else f'{label:g}'!r}"
