"""From texts to tokens and padded batches, the same way for training and for inference."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data.distributed import DistributedSampler
from transformers import PreTrainedConfig, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from ee_lightning.data.cutting import kept_places
from ee_lightning.errors import BackboneError, DataError, OptionError, first_line
from ee_lightning.files import check_folder_readable
from ee_lightning.packaged import PREFIX, resolve


def load_tokenizer(name: str, config: PreTrainedConfig | None = None) -> PreTrainedTokenizerBase:
    """Load a tokenizer that can pad.

    Args:
        name: A name on the hub, a folder, or `packaged:all-minilm-l6-v2`.
        config: The backbone's configuration, on which the tokenizer's class depends; None reads it there.

    Raises:
        OptionError: No name is given, or the packaged name is unknown.
        BackboneError: There is no tokenizer under that name.
        DataError: The tokenizer has no padding token, or no fast implementation.
    """
    if not name:
        hint = "give the backbone's name on the hub, or its folder"
        raise OptionError("no tokenizer is named", where="--data.tokenizer", hint=hint)
    place = str(resolve(name)) if name.startswith(PREFIX) else name
    check_folder_readable(place)
    try:
        tokenizer: PreTrainedTokenizerBase = transformers.AutoTokenizer.from_pretrained(
            place, config=config, trust_remote_code=False
        )
    except Exception as error:  # the Rust half of the tokenizers raises bare exceptions
        raise BackboneError(
            f"no tokenizer can be loaded: {first_line(error)}",
            where=place,
            hint="give a name on the hub with a connection to it, a folder that holds tokenizer.json, "
            "or packaged:all-minilm-l6-v2",
        ) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # what transformers makes of a folder without its files
        hint = "put tokenizer.json beside the weights, as save_pretrained writes it"
        raise BackboneError("the tokenizer has no vocabulary", where=place, hint=hint)
    what = hint = ""
    if not isinstance(tokenizer.model_max_length, int | float) or not tokenizer.model_max_length >= 1:
        what = f"the tokenizer's model_max_length is {tokenizer.model_max_length!r}"
        hint = "write a number of tokens into its tokenizer_config.json, such as 512"
    elif tokenizer.pad_token_id is None:
        what = "the tokenizer has no padding token, so it can't make batches"
        hint = "set pad_token in its tokenizer_config.json"
    elif not tokenizer.is_fast:
        what = f"{type(tokenizer).__name__} has no fast implementation"
        hint = "use a backbone whose folder holds tokenizer.json"
    if what:
        raise DataError(what, where=place, hint=hint)
    return tokenizer


class Encoded(NamedTuple):
    """Tokenised texts.

    Attributes:
        columns: ``input_ids``, and ``token_type_ids`` where `tells_texts_apart`, with one list a row.
        cut: The numbers, from 0, of the rows that were too long, and lost tokens.
    """

    columns: dict[str, list[list[int]]]
    cut: list[int]


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> Encoded:
    """Tokenise texts, and cut those that are too long; a pair loses tokens of its longer text first.

    The tokens are those of the tokenizer's own ``truncation="longest_first"``, which keeps also what it cuts off, and
    of a pair of two long texts every combination of it: more than fits the memory.

    Args:
        tokenizer: A fast tokenizer.
        texts: One text a row; at least one.
        pairs: The second text of each row; None where rows have one.
        max_length: The most tokens a row may have, special ones included.
    """
    whole = tokenizer(
        list(texts),
        None if pairs is None else list(pairs),
        truncation=False,
        padding=False,
        return_token_type_ids=tells_texts_apart(tokenizer, pairs=pairs is not None),
        return_attention_mask=False,
        verbose=False,
    )
    columns: dict[str, list[list[int]]] = dict(whole)
    too_long = [row for row, tokens in enumerate(columns["input_ids"]) if len(tokens) > max_length]
    for row in too_long:
        kept = kept_places(whole.encodings[row].sequence_ids, max_length, tokenizer.truncation_side)
        for rows in columns.values():
            rows[row] = [rows[row][place] for place in kept]
    return Encoded(columns, too_long)


def tells_texts_apart(tokenizer: PreTrainedTokenizerBase, *, pairs: bool) -> bool:
    """Return whether a tokenizer has token types: its class says so, or it gives the texts of a pair different ones.

    A class that serves any `tokenizer.json` does not say so, whatever is in the file.
    """
    if "token_type_ids" in tokenizer.model_input_names:
        return True
    return pairs and any(tokenizer("a", "a", return_token_type_ids=True)["token_type_ids"])


def check_max_length(
    tokenizer: PreTrainedTokenizerBase, max_length: int, *, pairs: bool, option: str = "--data.max_length"
) -> None:
    """Raise an `OptionError` for a length that leaves no room for text, or is more than the tokenizer takes."""
    special = tokenizer.num_special_tokens_to_add(pair=pairs)
    if not special < max_length <= tokenizer.model_max_length:
        is_limited = tokenizer.model_max_length < VERY_LARGE_INTEGER  # which stands for no limit of its own
        most = f"to {tokenizer.model_max_length}" if is_limited else "or more"
        raise OptionError(
            f"max_length is {max_length}, the tokenizer takes {special + 1} {most} tokens",
            where=option,
            hint=f"give a length in that range; {special} tokens of it are special ones",
        )


def pad_tokens(
    columns: Mapping[str, list[list[int]]], fills: Mapping[str, int], multiple: int = 1
) -> dict[str, Tensor]:
    """Pad tokens on the right to the longest row.

    Args:
        columns: `input_ids`, and `token_type_ids` where the backbone has them, with one entry a row.
        fills: What fills each column.
        multiple: Round the padded length up to a multiple of this.

    Returns:
        The columns and `attention_mask`, which is 1 on tokens and 0 on padding, all int64 and [batch, tokens].
    """
    lengths = torch.tensor([len(tokens) for tokens in columns["input_ids"]])  # [batch]
    width = -(-int(lengths.max()) // multiple) * multiple
    batch = {
        name: torch.tensor([row + [fills[name]] * (width - len(row)) for row in rows])  # [batch, tokens]
        for name, rows in columns.items()
    }
    return batch | {"attention_mask": (torch.arange(width) < lengths[:, None]).long()}  # [batch, tokens]


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
        """Return what `pad_tokens` makes of the tokens, `labels` [batch] or [batch, labels], and `ids`.

        They are int64, but for the scores of a regression, in float32; columns that don't belong there are dropped.
        """
        columns = {name: rows[name] for name in self.fills if name in rows}
        batch = pad_tokens(columns, self.fills, self.multiple)
        return batch | {"labels": torch.tensor(rows["label"]), "ids": torch.tensor(rows["id"])}  # [batch]


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
        if not self.shuffle:  # those that were drawn, longest first, and then the others
            is_other = np.ones(len(self.lengths), dtype=bool)  # [rows]
            is_other[np.random.default_rng(self.seed).permutation(len(self.lengths))[: self.num_drawn]] = False
            return np.lexsort((-self.lengths, is_other)).astype(number)
        order = random.permutation(np.arange(len(self.lengths), dtype=number))
        num_complete, stretch = len(order) - len(order) % self.global_batch_size, MEGABATCH * self.global_batch_size
        for start in range(0, num_complete, stretch):
            rows = order[start : min(start + stretch, num_complete)]
            rows[:] = rows[np.argsort(self.lengths[rows], kind="stable")]
        return order
