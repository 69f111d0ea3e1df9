"""Words what is wrong with a checkpoint."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning import Trainer

from ee_lightning.errors import OptionError, RunFolderError

_LACKING = re.compile(r"Missing key\(s\) in state_dict: (.*)")
_BESIDES = re.compile(r"Unexpected key\(s\) in state_dict: (.*)")
_OTHER_SHAPE = re.compile(r"size mismatch for ([\w.]+)")
_NAME = re.compile(r'"([^"]+)"')


def refuse_missing(checkpoint: str | None, command: str) -> None:
    """Refuse a checkpoint that is not there.

    Args:
        checkpoint: Its path or address, which is not looked up.
        command: The command that needs it.

    Raises:
        OptionError: No checkpoint is named, or there is no such file.
    """
    if checkpoint is None or ("://" not in checkpoint and not Path(checkpoint).is_file()):
        raise OptionError(
            f"{command} needs a checkpoint" if checkpoint is None else "there is no such checkpoint",
            where=f"--ckpt_path {checkpoint or ''}",
            mend="name a file from the checkpoints/ of a run folder",
        )


@contextmanager
def loading_checkpoints(trainer: Trainer) -> Iterator[None]:
    """Blame the checkpoint that a trainer loads where it does not fit.

    Args:
        trainer: The trainer.

    Raises:
        RunFolderError: The checkpoint is of another model, of another optimiser, or of another program.
    """
    try:
        yield
    except (RuntimeError, ValueError, KeyError) as error:
        if (reason := _reason(error)) is None:
            raise
        raise RunFolderError(
            f"the checkpoint can't be loaded into this model: {reason}",
            where=f"--ckpt_path {trainer.ckpt_path}",
            mend="give the config.yaml of the checkpoint's own run folder, and a .ckpt file from its checkpoints/",
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
    return "it was not written by Lightning" if "pytorch-lightning_version" in message else None


def _differences(message: str) -> str:
    lacking, besides = (_NAME.findall(" ".join(kind.findall(message))) for kind in (_LACKING, _BESIDES))
    differences = [
        f"it {what} {_some(names)}{where}"
        for what, names, where in (
            ("lacks", lacking, ""),
            ("has", besides, ", which the model lacks"),
            ("has another shape of", _OTHER_SHAPE.findall(message), ""),
        )
        if names
    ]
    return "; ".join(differences) or message.strip().splitlines()[-1].strip()


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
