"""Writes the predictions of ``predict`` into the run folder."""

from typing import Any

import pandas as pd
from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from torch import Tensor

from ee_lightning.reporting import run_folder_of
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
        folder = run_folder_of(trainer)
        if not trainer.is_global_zero or folder is None:
            return
        probabilities, labels = exits.logits[-1].softmax(-1).max(-1)  # [samples], [samples]
        words = trainer.datamodule.label_names  # type: ignore[attr-defined]  # added at run time
        predictions = pd.DataFrame(
            {"id": exits.ids, "label": [words[label] for label in labels.tolist()], "probability": probabilities}
        )
        print(f"predictions: {folder.write_predictions(predictions)}")
