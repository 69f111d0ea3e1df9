"""Writes the predictions of ``predict`` into the run folder."""

from typing import Any

import pandas as pd
from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from torch import Tensor

from ee_lightning.reporting import RunFolder
from ee_lightning.training.recorder import ExitRecorder


class PredictionWriter(Callback):
    """Writes ``predictions.csv`` after ``predict``: the full model's label and its probability for every sample."""

    def __init__(self) -> None:
        self._recorder = ExitRecorder()

    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a new record."""
        self._recorder = ExitRecorder()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: dict[str, Tensor],
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Record what every exit says of a batch."""
        self._recorder.add(outputs["logits"], None, outputs["ids"])

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file."""
        exits = self._recorder.join()
        if not trainer.is_global_zero:
            return
        probabilities, labels = exits.logits[-1].softmax(-1).max(-1)  # [samples], [samples]
        words = trainer.datamodule.label_names
        predictions = pd.DataFrame(
            {"id": exits.ids, "label": [words[label] for label in labels.tolist()], "probability": probabilities}
        )
        folder = RunFolder(trainer.log_dir or trainer.default_root_dir)
        print(f"predictions: {folder.write_predictions(predictions)}")
