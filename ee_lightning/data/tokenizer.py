"""Load the tokenizer that belongs to a backbone."""

from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from ee_lightning.errors import BackboneError, DataError, OptionError, first_line
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
        BackboneError: No tokenizer is to be had under that name.
        DataError: The tokenizer has no padding token, or no fast implementation.
    """
    if not name:
        raise OptionError(
            "no tokenizer is named", where="--data.tokenizer", mend="give the backbone's name on the hub, or its folder"
        )
    place = str(resolve(name)) if name.startswith(PREFIX) else name
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            place, config=config, trust_remote_code=False
        )
    except Exception as error:  # the Rust half of the tokenizers raises bare exceptions
        raise BackboneError(
            f"no tokenizer can be loaded: {first_line(error)}",
            where=place,
            mend="give a name on the hub with a connection to it, a folder that holds tokenizer.json, "
            "or packaged:all-minilm-l6-v2",
        ) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # what transformers makes of a folder without its files
        raise BackboneError(
            "the tokenizer has no vocabulary",
            where=place,
            mend="put tokenizer.json beside the weights, as save_pretrained writes it",
        )
    if tokenizer.pad_token_id is None:
        raise DataError(
            "the tokenizer has no padding token, so it can't make batches",
            where=place,
            mend="set pad_token in its tokenizer_config.json",
        )
    if not tokenizer.is_fast:
        raise DataError(
            f"{type(tokenizer).__name__} has no fast implementation",
            where=place,
            mend="use a backbone whose folder holds tokenizer.json",
        )
    return tokenizer
