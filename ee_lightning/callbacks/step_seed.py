"""Makes what a training step draws at random a function of its place."""

from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch import Callback


class StepSeed(Callback):
    """Seeds torch before every batch of training by the run's seed, the epoch, the batch and the process.

    What a batch draws, its dropout above all, then hangs on nothing that was drawn before, and an interrupted run can
    go on at any batch. The run's seed is torch's when the training starts, and is kept in the checkpoints.
    """

    def __init__(self) -> None:
        self._seed: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the run's seed, unless a checkpoint has brought it."""
        if self._seed is None:
            self._seed = torch.initial_seed()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed."""
        assert self._seed is not None
        place = np.random.SeedSequence((self._seed, trainer.current_epoch, batch_idx, trainer.global_rank))
        torch.manual_seed(int(place.generate_state(1, np.uint64)[0]))

    def state_dict(self) -> dict[str, Any]:
        """Keep the run's seed."""
        return {"seed": self._seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the run's seed over."""
        self._seed = state_dict["seed"]
