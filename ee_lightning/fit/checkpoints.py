"""Checkpoints that are written whole or not at all, and read with a message where they are damaged."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from typing_extensions import override

from ee_lightning.errors import OptionError, RunFolderError, first_line
from ee_lightning.files import written_whole

_PARTS = {"state_dict": dict, "callbacks": dict, "loops": dict, "optimizer_states": list, "lr_schedulers": list}


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and to the disk, and then renames it; raises `RunFolderError` for failures.

    Lightning does so by the system's temporary folder, which may be on another disk, so that the checkpoint is copied
    to its place, and may be cut off there. Where the place is not a local one, this does what Lightning does.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with written_whole(Path(path)) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch, which can't end the archive whose writing was stopped
                if isinstance(error.__context__, OSError | KeyboardInterrupt):
                    raise error.__context__ from None
                raise

    @override
    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        try:
            checkpoint = super().load_checkpoint(path, map_location, weights_only)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        except Exception as error:  # of any kind, as a damaged file may be unpickled to anything
            said = first_line(error).partition(". ")[0]
            raise _unreadable(path, f"it is damaged, or no checkpoint ({said})") from error
        for part, kind in _PARTS.items():
            if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(part, kind()), kind):
                raise _unreadable(path, f"it holds no checkpoint, or its {part} make no sense")
        return checkpoint


def _unreadable(path: str | Path, reason: str) -> RunFolderError:
    return RunFolderError(
        f"the checkpoint can't be loaded: {reason}",
        where=path,
        hint="give --ckpt_path a .ckpt file that is whole, and the config.yaml of its run folder",
    )


def refuse_missing(checkpoint: str | None, command: str) -> None:
    """Raise an `OptionError` where a command is given no checkpoint, or a file that is not there."""
    if checkpoint is None or ("://" not in checkpoint and not Path(checkpoint).is_file()):
        raise OptionError(
            f"{command} needs a checkpoint" if checkpoint is None else "there is no such checkpoint",
            where=f"--ckpt_path {checkpoint or ''}",
            hint="name a file from the checkpoints/ of a run folder",
        )


@contextmanager
def loading_checkpoints(trainer: Trainer) -> Iterator[None]:
    """Raise a `RunFolderError` for a checkpoint of another model, another optimiser, or another program."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError) as error:
        if (reason := _reason(error)) is None:
            raise
        raise RunFolderError(
            f"the checkpoint can't be loaded into this model: {reason}",
            where=f"--ckpt_path {trainer.ckpt_path}",
            hint="give the config.yaml of the checkpoint's own run folder, and a .ckpt file from its checkpoints/",
        ) from error


def _reason(error: Exception) -> str | None:
    """Word an error of loading; None for any other error."""
    message = str(error)
    if "loading state_dict" in message:
        return _differences(message)
    if "loaded state dict" in message:
        return "its optimiser trained other parameters"
    if "contains only the model" in message:
        return "it holds weights alone, of which a training can't go on"
    if isinstance(error, KeyError) and error.args[0] in _PARTS:
        return f"it lacks {error.args[0]}"
    is_foreign = "pytorch-lightning_version" in message or "Invalid version" in message
    return "it was not written by Lightning" if is_foreign else None


def _differences(message: str) -> str:
    """Word what torch says of parameters that are missing, unexpected, or of another shape."""
    lacking, besides = (
        re.findall(r'"([^"]+)"', " ".join(re.findall(rf"{kind} key\(s\) in state_dict: (.*)", message)))
        for kind in ("Missing", "Unexpected")
    )
    reshaped = re.findall(r"size mismatch for ([\w.]+)", message)
    differences = [
        f"it {what} {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}{where}"
        for what, names, where in (
            ("lacks", lacking, ""),
            ("has", besides, ", which the model lacks"),
            ("has another shape of", reshaped, ""),
        )
        if names
    ]
    return "; ".join(differences) or message.strip().splitlines()[-1].strip()
