"""Words what Lightning says of its own options."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from ee_lightning.errors import EarlyExitError, OptionError

_LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "num_sanity_val_steps": -1,
}
_OF_OPTIONS = (MisconfigurationException, ValueError, TypeError, ArithmeticError, OSError, ImportError)
_PACKAGES = ("lightning", "jsonargparse")


def check_trainer_options(options: Mapping[str, Any]) -> None:
    """Raise an error for numbers that Lightning takes, and divides by or ignores later.

    Args:
        options: The options of the trainer.

    Raises:
        OptionError: One is too small.
    """
    for name, least in _LEAST.items():
        value = options.get(name)
        if value is not None and not value >= least:
            raise OptionError(f"{name} is {value}", where=f"--trainer.{name}", mend=f"give {least} or more")
    interval = options.get("val_check_interval")
    if isinstance(interval, int | float) and not interval > 0:
        raise OptionError(
            f"val_check_interval is {interval}",
            where="--trainer.val_check_interval",
            mend="give a number of batches from 1, or a share of an epoch above 0 and up to 1.0",
        )


@contextmanager
def wording_lightning(where: str, command: str) -> Iterator[None]:
    """Turn an exception that Lightning itself raises into one message.

    Args:
        where: The options that are looked at, unless the message names them.
        command: The command.

    Raises:
        OptionError: Lightning refused some options.
    """
    try:
        yield
    except EarlyExitError:
        raise
    except _OF_OPTIONS as error:
        *_, (frame, _) = walk_tb(error.__traceback__)
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package not in _PACKAGES and not isinstance(error, MisconfigurationException):
            raise
        raise OptionError(
            str(error).strip(), where=where, mend=f"'ee-lightning {command} --help' lists the options"
        ) from error
