"""Writes the checkpoint from which an interrupted run goes on."""

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch import Callback
from lightning.pytorch.trainer.states import TrainerFn

from ee_lightning.errors import OptionError
from ee_lightning.reporting import run_folder_of
from ee_lightning.reporting.metrics_log import MetricsFile, MetricsLog

_KEY = "last_checkpoint"


class LastCheckpoint(Callback):
    """Writes ``checkpoints/last.ckpt``, from which an interrupted run goes on as if nothing had happened.

    It is written between two steps: after all that came of the one, be it a row in ``metrics.csv``, a validation or the
    best checkpoint, and before the batch of the next, where no gradients are accumulated. It tells how many rows
    ``metrics.csv`` had, so that those of steps that are done again don't stand there twice.

    Args:
        every_n_steps: Write it after so many optimiser steps. It is also written at the start of every epoch but the
            first, and at the end of training.

    Raises:
        OptionError: ``every_n_steps`` is less than 1.
    """

    def __init__(self, every_n_steps: int = 1000) -> None:
        if every_n_steps < 1:
            raise OptionError(
                f"every_n_steps is {every_n_steps}", where="--last_checkpoint.every_n_steps", mend="give 1 or more"
            )
        self.every_n_steps = every_n_steps
        self._saved_at = 0
        self._loaded: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the folder of the checkpoints, by which the folder of a training run is known."""
        folder = run_folder_of(trainer)
        if stage == "fit" and trainer.is_global_zero and folder is not None:
            folder.checkpoints.mkdir(parents=True, exist_ok=True)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write the checkpoint where it is due."""
        if self._loaded is not None:
            _mend(trainer, self._loaded)
            self._loaded = None
        is_due = batch_idx == 0 or trainer.global_step % self.every_n_steps == 0
        if is_due and batch_idx % trainer.accumulate_grad_batches == 0 and trainer.global_step != self._saved_at:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoint."""
        self._save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning leaves out."""
        checkpoint[_KEY] = {
            "batches_that_stepped": trainer.fit_loop.epoch_loop._batches_that_stepped,
            "should_stop": trainer.should_stop,
            "metrics": dict(trainer.callback_metrics),
            "rows": [file.num_rows for file in _metrics_files(trainer)],
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        if trainer.state.fn != TrainerFn.FITTING or _KEY not in checkpoint:
            return
        self._saved_at, self._loaded = checkpoint["global_step"], checkpoint[_KEY]
        trainer.should_stop = checkpoint[_KEY]["should_stop"]
        for file, num_rows in zip(_metrics_files(trainer), checkpoint[_KEY]["rows"], strict=False):
            file.num_rows = num_rows
        if trainer.is_global_zero:
            print(f"going on after step {checkpoint['global_step']}, in epoch {checkpoint['epoch']}")

    def _save(self, trainer: Trainer) -> None:
        folder = run_folder_of(trainer)
        if folder is not None:
            trainer.save_checkpoint(folder.last_checkpoint, weights_only=False)
            self._saved_at = trainer.global_step


def _mend(trainer: Trainer, state: dict[str, Any]) -> None:
    """Mend what Lightning has wrong within an epoch: two counters, one too high, and the latest validation's scores."""
    loop = trainer.fit_loop.epoch_loop
    loop._batches_that_stepped = state["batches_that_stepped"]
    loop.batch_progress.total.ready = loop.batch_progress.total.completed + 1
    trainer.callback_metrics.update(state["metrics"])


def _metrics_files(trainer: Trainer) -> list[MetricsFile]:
    """Give the open ``metrics.csv``, on the first process, everything logged so far written."""
    if not trainer.is_global_zero:
        return []
    logs = [logger for logger in trainer.loggers if isinstance(logger, MetricsLog)]
    for log in logs:
        log.save()
    return [log.experiment for log in logs]
