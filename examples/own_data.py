"""A data module of your own: copy this file, change `OwnData`, and name the class.

With the file in the working folder:

    ee-lightning fit --data own_data.OwnData --data.file rows.csv --model.backbone packaged:all-minilm-l6-v2

The model learns what it needs from the attributes that `__init__` sets. Only `num_classes` has to be there, 1 for
regression; `metrics`, `label_names`, `text_columns`, `multi_label` and `max_length` where they differ from the usual.
Options called `tokenizer` and `seed` are the backbone's name and the run's seed.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from ee_lightning.packaged import PREFIX, resolve

Row = tuple[int, dict[str, str]]


class OwnData(LightningDataModule):
    """Reads a CSV file with the columns ``text`` and ``label``, of which every fifth row validates.

    Args:
        file: The file.
        tokenizer: The backbone's name.
        batch_size: Rows a batch.
    """

    def __init__(self, file: str, tokenizer: str = "", batch_size: int = 32) -> None:
        super().__init__()
        self.label_names = ["no", "yes"]
        self.num_classes, self.max_length = len(self.label_names), 64
        self.file, self.batch_size = file, batch_size
        place = resolve(tokenizer) if tokenizer.startswith(PREFIX) else tokenizer
        self.tokenizer = AutoTokenizer.from_pretrained(place)

    def setup(self, stage: str) -> None:
        """Read the rows, each with its number."""
        with Path(self.file).open(encoding="utf-8", newline="") as lines:
            rows = list(enumerate(csv.DictReader(lines)))
        self.train, self.validation = [row for row in rows if row[0] % 5], rows[::5]

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Return batches in a new order in every epoch."""
        return DataLoader(self.train, self.batch_size, shuffle=True, collate_fn=self.batch_of)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Return the batches by which checkpoints are chosen and exits swept."""
        return DataLoader(self.validation, self.batch_size, collate_fn=self.batch_of)

    def batch_of(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Return `input_ids` and `attention_mask` [batch, tokens], `labels` and `ids` [batch]."""
        texts = [row["text"] for _, row in rows]
        encoded = self.tokenizer(texts, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt")
        labels = torch.tensor([self.label_names.index(row["label"]) for _, row in rows])
        return {**encoded, "labels": labels, "ids": torch.tensor([number for number, _ in rows])}
