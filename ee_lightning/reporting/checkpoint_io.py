"""Checkpoints that are written whole or not at all, and read with a message where they are damaged."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ee_lightning.errors import RunFolderError, first_line
from ee_lightning.files import written_whole


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and to the disk, and then renames it.

    Lightning does so by the system's temporary folder, which may be on another disk, so that the checkpoint is copied
    to its place, and may be cut off there. Where the place is not a local one, this does what Lightning does.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            RunFolderError: It can't be written.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with written_whole(Path(path)) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch, which can't end the archive whose writing was broken off
                if isinstance(error.__context__, OSError | KeyboardInterrupt):
                    raise error.__context__ from None
                raise

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        """Read a checkpoint.

        Raises:
            RunFolderError: It can't be read.
        """
        try:
            return super().load_checkpoint(path, map_location, weights_only)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        except Exception as error:  # of any kind, as a damaged file may be unpickled to anything
            said = first_line(error).partition(". ")[0]
            raise _unreadable(path, f"it is damaged, or no checkpoint ({said})") from error


def _unreadable(path: str | Path, reason: str) -> RunFolderError:
    return RunFolderError(
        f"the checkpoint can't be loaded: {reason}",
        where=path,
        mend="give --ckpt_path a .ckpt file that is whole, and the config.yaml of its run folder",
    )
