"""Turns what Lightning says into what the user should do."""

import logging
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from traceback import walk_tb
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only

from ee_lightning.errors import USER_MISTAKES, EarlyExitError, OptionError
from ee_lightning.extras import as_missing_extra
from ee_lightning.files import with_home
from ee_lightning.terminal import wrapped


def check_values(value: object, option: str = "") -> None:
    """Raise an `OptionError` for nested options that none takes: NaN, and texts with NUL, which no path has."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            check_values(inner, f"{option}.{name}" if option else f"--{name}")
    elif isinstance(value, list | tuple):
        for inner in value:
            check_values(inner, option)
    elif isinstance(value, float) and isnan(value):
        raise OptionError("this is nan, not a number", where=option, hint="give a number, or leave it out")
    elif isinstance(value, str) and "\0" in value:
        raise OptionError("this text holds the character NUL", where=option, hint="leave the character out")


def root_on_this_disk(root: str) -> Path:
    """Return the folder of all run folders, in which `~` is the home folder; raise an `OptionError` for an address."""
    if "://" in root:
        raise OptionError(
            "run folders are written to a disk, and this is an address",
            where=f"--run.root {root}",
            hint="name a folder, and copy the run folders from there",
        )
    return with_home(root)


_LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "num_sanity_val_steps": -1,
}
_OWN = re.compile(r"^ +- (.+)(?:\n +where: (.+))?\n +hint:  (.+)$", re.MULTILINE)
"""An error of a class of ours, in the parser's list of errors for a union of types."""
_UNMADE = re.compile(r"Problem with given class_path '([\w.]+)':\s+([^\n]+)")
"""An exception of a class that the parser was to make an object of, in its list of errors for a union of types."""
_OF_OPTIONS = (ValueError, TypeError, ArithmeticError, OSError, ImportError)


def check_trainer_options(options: Mapping[str, Any]) -> None:
    """Raise an `OptionError` for too small numbers, which Lightning takes and divides by or ignores later."""
    hints = {
        name: f"give {least} or more"
        for name, least in _LEAST.items()
        if options[name] is not None and not options[name] >= least
    }
    share = "give a number of batches from 1, or a share of an epoch above 0"
    if options["limit_train_batches"] == 0:
        hints["limit_train_batches"] = f"{share}, else nothing is trained; or leave it out"
    interval = options["val_check_interval"]
    if isinstance(interval, int | float) and not interval > 0:
        hints["val_check_interval"] = f"{share} and up to 1.0"
    for name, hint in hints.items():
        raise OptionError(f"{name} is {options[name]}", where=f"--trainer.{name}", hint=hint)


@contextmanager
def wording_lightning(where: str, command: str) -> Iterator[None]:
    """Turn an exception of Lightning, one of its callbacks or a service into an `OptionError` about these options."""
    try:
        yield
    except EarlyExitError:
        raise
    except Exception as error:
        if isinstance(error.__cause__, EarlyExitError):  # in which jsonargparse wraps what an attribute lacks
            raise error.__cause__ from None
        if (missing := as_missing_extra(error)) is not None:
            raise missing from None
        if (own := _OWN.search(str(error))) is not None:
            raise OptionError(own[1], where=own[2] or where, hint=own[3]) from error
        said, hint = str(error).strip() or type(error).__name__, f"'ee-lightning {command} --help' lists the options"
        if (unmade := _UNMADE.search(said)) is not None:
            reason, _, advice = unmade[2].partition(" HINT: ")
            what = f"{unmade[1].rpartition('.')[2]} can't be made: {reason.rstrip('.')}"
            raise OptionError(what, where=where, hint=advice or hint) from error
        if not isinstance(error, USER_MISTAKES) and (callback := _failed_callback(error)) is not None:
            where = "--checkpoint" if callback == "ModelCheckpoint" else "--trainer.callbacks"
            hint = f"correct its options, or leave it out; {hint}"
            raise OptionError(f"{callback} fails: {said}", where=where, hint=hint) from error
        *_, (frame, _) = walk_tb(error.__traceback__)
        module = str(frame.f_globals.get("__name__"))
        is_of_service = module.startswith(("wandb.", "torch.distributed."))
        is_of_options = isinstance(error, MisconfigurationException) or (
            isinstance(error, _OF_OPTIONS) and module.startswith(("lightning.", "jsonargparse."))
        )
        if not (is_of_service or is_of_options):
            raise
        raise OptionError(said, where=where, hint=hint) from error


def _failed_callback(error: Exception) -> str | None:
    """Name the class of Lightning's callback that raised an error, itself or by what it calls of other libraries."""
    for frame, _ in reversed(list(walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("lightning.pytorch.callbacks."):
            return type(frame.f_locals.get("self")).__name__
        if module.partition(".")[0] in {"lightning", "ee_lightning", "transformers"}:
            return None
    return None


warn = rank_zero_only(logging.getLogger(__name__).warning)
"""Warns the user, on the first process."""
_PACKAGE = str(Path(__file__).parents[1])


def _worded_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> str:
    """Return what is printed of a warning; without the place, where that is in this package or an installed library."""
    if filename.startswith((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), _PACKAGE)):
        return wrapped(f"warning: {message}", sys.stderr) + "\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


_IDLE = re.compile(
    "Tip:|available: False|^Loading `train_dataloader`|stopped: `max_epochs|^Restoring states|^Loaded model weights"
)
"""Advertisements of other products, devices that are not there, and steps that every run has."""


def quiet_lightning() -> None:
    """Leave out messages of Lightning that nobody acts on, and word warnings of any library in lines of their own."""
    messages = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    messages.addFilter(lambda record: _IDLE.search(record.getMessage()) is None)
    warnings.formatwarning = _worded_warning  # type: ignore[assignment]  # which takes every further argument
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # when a run goes on
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")  # which ours can
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.pytorch\.utilities\._pytree")
