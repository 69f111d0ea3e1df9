"""Which rows an evaluation used, also where its loaders are a user's own."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from ee_lightning.exits import EvaluatedRows
from ee_lightning.fit.sweep_callback import rows_evaluated


class Asking(LightningModule):
    """Ask, at the end of an evaluation, which rows it used."""

    def test_step(self, batch: Tensor, batch_idx: int, dataloader_idx: int = 0) -> None:
        pass

    validation_step = test_step

    def on_test_epoch_end(self) -> None:
        self.rows = [rows_evaluated(self.trainer, number, "test") for number in range(2)]

    on_validation_epoch_end = on_test_epoch_end


@pytest.mark.parametrize("stage", ["validate", "test"])
@pytest.mark.parametrize("limit", [2, 1.0, 5])
def test_the_first_rows_of_foreign_loaders_are_no_random_sample(tmp_path: Path, stage: str, limit: float) -> None:
    limits = {"limit_val_batches": limit, "limit_test_batches": limit}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    module, trainer = Asking(), Trainer(default_root_dir=tmp_path, **quiet, **limits)  # type: ignore[arg-type]
    loaders = [DataLoader(torch.arange(number), batch_size=4) for number in (20, 8)]  # type: ignore[arg-type]
    getattr(trainer, stage)(module, loaders, verbose=False)
    assert module.rows == [EvaluatedRows(20, is_drawn=limit != 2), EvaluatedRows(8)]
