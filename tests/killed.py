"""What is done to a process before its command begins (`forked.Command`)."""

import os
import signal
import time
from collections.abc import Callable
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import torch

from ee_lightning.fit.callbacks import StepSeed
from ee_lightning.fit.command import EarlyExitCLI
from ee_lightning.fit.earlier_runs import locked_folder
from ee_lightning.fit.metrics_log import MetricsFile
from ee_lightning.runs.folder import RunFolder
from ee_lightning.training import EarlyExitModule

MOMENTS: dict[str, tuple[Any, str]] = {
    "before a step": (StepSeed, "on_train_batch_start"),  # after a checkpoint that was due
    "in a step": (EarlyExitModule, "training_step"),
    "before a row is logged": (MetricsFile, "save"),
    "in a validation": (EarlyExitModule, "validation_step"),
    "in the middle of a checkpoint": (torch, "save"),
    "after a checkpoint": (os, "fsync"),  # which is complete, but not yet in its place
    "before the sweep": (EarlyExitCLI, "after_fit"),
    "in the sweep": (RunFolder, "write_summary"),
}


def die_at(moment: str, number: int) -> None:
    """Kill this process at the call of that number, from 1."""
    owner, name = MOMENTS[moment]
    function, calls = getattr(owner, name), count(1)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            if owner is torch:
                _write_half(function, *args)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(owner, name, call)


def _write_half(save: Callable[..., None], checkpoint: Any, file: Any) -> None:
    save(checkpoint, file)
    file.flush()
    file.truncate(file.tell() // 2)
    file.flush()


def hold_and_fork(folder: Path) -> None:
    """Hold the lock of a run folder, as does a process forked here, whose number is printed."""
    with locked_folder(RunFolder(folder)):
        child = os.fork()
        if child:
            print(child, flush=True)
        time.sleep(60)
