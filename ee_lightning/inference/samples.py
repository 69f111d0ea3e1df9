"""What goes into the engine."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ee_lightning.data.collate import pad_tokens


class Sample(NamedTuple):
    """A tokenised sample.

    Attributes:
        input_ids: Its token ids, special ones included.
        token_type_ids: The sentence of each token where the family knows them; None elsewhere.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None = None


def samples_of(columns: Mapping[str, Sequence[Any]]) -> list[Sample]:
    """Make samples of tokenised rows.

    Args:
        columns: ``input_ids`` and, where the backbone has them, ``token_type_ids``, with one entry a row; others are
            ignored.
    """
    input_ids = columns["input_ids"]
    token_type_ids = columns.get("token_type_ids", [None] * len(input_ids))
    return [Sample(*fields) for fields in zip(input_ids, token_type_ids, strict=True)]


def pad_samples(samples: Sequence[Sample], fills: Mapping[str, int]) -> dict[str, Tensor]:
    """Make a batch of samples, padded on the right to the longest.

    Args:
        samples: At least one.
        fills: What fills ``input_ids`` and ``token_type_ids``.

    Returns:
        ``input_ids``, ``attention_mask`` and, where the samples have them, ``token_type_ids``, each
        ``[batch, length]``.
    """
    columns = {"input_ids": [sample.input_ids for sample in samples]}
    if samples[0].token_type_ids is not None:
        columns["token_type_ids"] = [sample.token_type_ids or [] for sample in samples]
    return pad_tokens(columns, fills)
