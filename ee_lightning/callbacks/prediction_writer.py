"""Writes the predictions of ``predict`` into the run folder."""

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from torch import Tensor

from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Fixed, StoredExits, replay
from ee_lightning.models import MultiExitOutput
from ee_lightning.operating import OPERATING_POINT, OperatingPoint
from ee_lightning.reporting import run_folder_of
from ee_lightning.training.recorder import ExitRecorder


class PredictionWriter(Callback):
    """Writes ``predictions.csv`` after ``predict``: a sample's label, its probability, and the exit it leaves at.

    For regression the label is the predicted value, and there is no probability.

    Samples leave by the ``operating_point.json`` beside the checkpoint, which ``choose`` wrote; where there is none, at
    the last exit. All layers are run in any case: this tells what early exit predicts, not how fast.

    Raises:
        RunFolderError: The operating point is damaged, or was chosen for another model.
    """

    def __init__(self) -> None:
        self._recorder = ExitRecorder()

    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a new record."""
        self._recorder = ExitRecorder()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: MultiExitOutput,
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Record what every exit says of a batch."""
        self._recorder.add(outputs, None, batch["ids"])

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file."""
        exits = self._recorder.join()
        folder = run_folder_of(trainer)
        if not trainer.is_global_zero or folder is None:
            return
        point = _operating_point(trainer, exits.num_exits)
        criterion, threshold = (Fixed(), inf) if point is None else (point.criterion.build(), point.threshold)
        exit_layer, label = replay(criterion, exits).at(threshold)  # [samples], [samples]
        words = trainer.datamodule.label_names  # type: ignore[attr-defined]  # added at run time
        said = {"label": label} if exits.num_classes == 1 else _in_words(exits, exit_layer, label, words)
        predictions = pd.DataFrame({"id": exits.ids, **said, "exit_layer": exit_layer})
        rule = "the full model" if point is None else f"{criterion.name} at threshold {threshold:.6g}"
        mean_exit = exit_layer.double().mean().item()
        print(f"predictions by {rule}, mean exit {mean_exit:.2f} of {exits.num_exits}")
        print(f"saved: {folder.write_predictions(predictions)}")


def _in_words(exits: StoredExits, exit_layer: Tensor, label: Tensor, words: Sequence[str]) -> dict[str, Any]:
    """Give the word of each sample's class, and the probability that the class has where the sample leaves."""
    samples = range(exits.num_samples)
    probability = exits.logits[exit_layer - 1, samples].softmax(-1)[samples, label]  # [samples]
    return {"label": [words[number] for number in label.tolist()], "probability": probability}


def _operating_point(trainer: Trainer, num_exits: int) -> OperatingPoint | None:
    """Read the operating point of the run folder in whose ``checkpoints/`` the checkpoint lies, if it has one."""
    if trainer.ckpt_path is None:
        return None
    file = Path(trainer.ckpt_path).resolve().parent.parent / OPERATING_POINT
    if not file.is_file():
        return None
    point = OperatingPoint.read(file)
    if point.num_exits != num_exits:
        raise RunFolderError(
            f"the operating point was chosen for {point.num_exits} exits, and the model has {num_exits}",
            where=file,
            mend="choose it again, on the run folder of this checkpoint: ee-lightning choose",
        )
    return point
