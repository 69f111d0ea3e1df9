"""From texts to tokens, the same way for training and for inference."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from ee_lightning.errors import BackboneError, DataError, OptionError, first_line
from ee_lightning.files import check_folder_readable
from ee_lightning.packaged import PREFIX, resolve


def load_tokenizer(name: str, config: PreTrainedConfig | None = None) -> PreTrainedTokenizerBase:
    """Load a tokenizer that can pad.

    Args:
        name: A name on the hub, a folder, or `packaged:all-minilm-l6-v2`.
        config: The backbone's configuration, on which the tokenizer's class depends; None reads it there.

    Returns:
        The tokenizer.

    Raises:
        OptionError: No name is given, or the packaged name is unknown.
        BackboneError: There is no tokenizer under that name.
        DataError: The tokenizer has no padding token, or no fast implementation.
    """
    if not name:
        raise OptionError(
            "no tokenizer is named", where="--data.tokenizer", hint="give the backbone's name on the hub, or its folder"
        )
    place = str(resolve(name)) if name.startswith(PREFIX) else name
    check_folder_readable(place)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
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
        raise BackboneError(
            "the tokenizer has no vocabulary",
            where=place,
            hint="put tokenizer.json beside the weights, as save_pretrained writes it",
        )
    if not isinstance(tokenizer.model_max_length, int | float) or not tokenizer.model_max_length >= 1:
        raise DataError(
            f"the tokenizer's model_max_length is {tokenizer.model_max_length!r}",
            where=place,
            hint="write a number of tokens into its tokenizer_config.json, such as 512",
        )
    if tokenizer.pad_token_id is None:
        raise DataError(
            "the tokenizer has no padding token, so it can't make batches",
            where=place,
            hint="set pad_token in its tokenizer_config.json",
        )
    if not tokenizer.is_fast:
        raise DataError(
            f"{type(tokenizer).__name__} has no fast implementation",
            where=place,
            hint="use a backbone whose folder holds tokenizer.json",
        )
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
        kept = _kept(whole.encodings[row].sequence_ids, max_length, tokenizer.truncation_side)
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
    """Raise an error for a length that leaves no room for text, or is more than the tokenizer takes.

    Raises:
        OptionError: It is out of range.
    """
    special = tokenizer.num_special_tokens_to_add(pair=pairs)
    if not special < max_length <= tokenizer.model_max_length:
        is_limited = tokenizer.model_max_length < VERY_LARGE_INTEGER  # which stands for no limit of its own
        most = f"to {tokenizer.model_max_length}" if is_limited else "or more"
        raise OptionError(
            f"max_length is {max_length}, the tokenizer takes {special + 1} {most} tokens",
            where=option,
            hint=f"give a length in that range; {special} tokens of it are special ones",
        )


def _kept(sequences: Sequence[int | None], max_length: int, side: str) -> list[int]:
    """Say which places of a row stay.

    Args:
        sequences: Of each place the text that it belongs to, 0 or 1; None for special tokens.
        max_length: How many may stay.
        side: Where texts are cut: ``right`` or ``left``.
    """
    texts = [[place for place, text in enumerate(sequences) if text == number] for number in (0, 1)]
    shorter, longer = sorted(texts, key=len)  # of two of the same length the second counts as the longer
    room = max_length - sequences.count(None)
    left_of_shorter = min(len(shorter), room // 2)
    dropped = {*_surplus(shorter, left_of_shorter, side), *_surplus(longer, room - left_of_shorter, side)}
    return [place for place in range(len(sequences)) if place not in dropped]


def _surplus(places: Sequence[int], left: int, side: str) -> Sequence[int]:
    return places[left:] if side == "right" else places[: len(places) - left]


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
