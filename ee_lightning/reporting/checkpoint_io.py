"""Checkpoints that are written whole or not at all."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ee_lightning.files import written_whole


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and to the disk, and then renames it.

    Lightning does so by the system's temporary folder, which may be on another disk, so that the checkpoint is copied
    to its place, and may be cut off there. Where the place is not a local one, this does what Lightning does.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with written_whole(Path(path)) as unfinished, unfinished.open("wb") as file:
            torch.save(checkpoint, file)
