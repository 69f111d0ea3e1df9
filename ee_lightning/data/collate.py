"""Pad the rows of a batch to its longest one."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


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
