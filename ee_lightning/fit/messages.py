"""Turns what the parser and Lightning say into what the user should do."""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from itertools import pairwise
from math import isnan
from pathlib import Path
from traceback import walk_tb
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from ee_lightning.data import CustomTask
from ee_lightning.errors import USER_MISTAKES, EarlyExitError, OptionError
from ee_lightning.files import with_home

_UNKNOWN = re.compile(r"(?:option|Option) '([\w.]+)'|unrecognized arguments: -+([\w.]+)")
_MISSING = re.compile(r'Parser key "([\w.]+)":\s+Expected .* Got value: None', re.DOTALL)
_LINKED = re.compile(r'Linked "([\w.]+)" must be given via "([\w.]+)"')
_OWN_UNKNOWN = re.compile(r"""Parser key "data\.own":.*Option '(\w+)' is not accepted""", re.DOTALL)
_OWN_WRONG = re.compile(
    r'Parser key "data\.own":.*?Parser key "(\w+)":.*?Expected an? (\w+).*?(?:Got|Given) value: ([^\n]*)', re.DOTALL
)
_OWN_MISSING = re.compile(r'Parser key "data\.own":.*arguments are required: (\w+)', re.DOTALL)
_CUSTOM_HINTS = {
    "str": 'put words into quotes, as in ["no", "yes"] or ["0", "1"]: else they are truth values and numbers in YAML',
    "list": "write a list: [first, second], or [first]",
    "dict": "write a mapping: {train: FILE, validation: FILE}",
}


def parsing_error(message: str, arguments: Sequence[str], known: Sequence[str]) -> OptionError:
    """Word a mistake in the options.

    Args:
        message: What the parser said.
        arguments: The command and its options.
        known: The dotted names of the command's options.

    Example:
        >>> print(parsing_error("unrecognized arguments: --data.tsk x", ["fit", "--data.tsk", "x"], ["data.task"]))
        unrecognized arguments: --data.tsk x
          where: the command line
          hint:  did you mean data.task? 'ee-lightning fit --help' lists the options
    """
    hint = f"'ee-lightning {arguments[0]} --help' lists the options"
    message = re.sub(r"<class '([\w.]+)'>", r"\1", message)
    if unknown := _OWN_UNKNOWN.search(message):
        names = [each.name for each in fields(CustomTask)]
        suggestion = _closest(unknown[1], names)
        what = f"data.own has no option {unknown[1]!r}"
        hint = f"{f'did you mean {suggestion}? ' if suggestion else ''}it has {', '.join(names)}"
    elif wrong := _OWN_WRONG.search(message):
        what = f"data.own.{wrong[1]} holds {wrong[3]}, where a {wrong[2]} is needed"
        hint = _CUSTOM_HINTS.get(wrong[2], hint)
    elif missing := _OWN_MISSING.search(message):
        what = f"data.own lacks {missing[1]}"
        hint = f"give it as --data.own.{missing[1]}; {hint}"
    elif linked := _LINKED.search(message):
        what = f"{linked[1]} is taken from {linked[2]}"
        way = ": the task decides" if linked[2].startswith("data.") else f", and give --{linked[2]}"
        hint = f"leave {linked[1]} out{way}"
    elif missing := _MISSING.search(message):
        what = f"the option {missing[1]} is needed"
        hint = f"give it as --{missing[1]}, or start from a configuration: --config configs/demo.yaml; {hint}"
        if arguments[0] != "fit":
            hint = f"name a checkpoint that lies in its run folder, whose config.yaml has all options; or {hint}"
    else:
        what = message.replace("\n\n", "\n").strip()
        if unknown := _UNKNOWN.search(message):
            suggestion = _closest(unknown[1] or unknown[2], known)
            hint = f"did you mean {suggestion}? {hint}" if suggestion else hint
    files = [value for flag, value in pairwise(arguments) if flag in {"--config", "-c"}]
    files += [argument.removeprefix("--config=") for argument in arguments if argument.startswith("--config=")]
    return OptionError(what, where=" or ".join(["the command line", *files]), hint=hint)


def _closest(unknown: str, known: Sequence[str]) -> str | None:
    """Find the known dotted name that was meant, by all of it or by its last part."""
    if whole := get_close_matches(unknown, known, n=1, cutoff=0.8):
        return whole[0]
    by_last = {name.rpartition(".")[2]: name for name in reversed(known)}
    last = get_close_matches(unknown.rpartition(".")[2], by_last, n=1, cutoff=0.8)
    return by_last[last[0]] if last else None


def check_values(value: object, option: str = "-") -> None:
    """Raise an error for values that no option takes: NaN, and texts with the character NUL, which no path has.

    Args:
        value: The options, nested.
        option: What they are called.

    Raises:
        OptionError: There is such a value.
    """
    if isinstance(value, Mapping):
        for name, inner in value.items():
            check_values(inner, f"{option}.{name}" if option.strip("-") else f"--{name}")
    elif isinstance(value, list | tuple):
        for inner in value:
            check_values(inner, option)
    elif isinstance(value, float) and isnan(value):
        raise OptionError("this is nan, which is no number", where=option, hint="give a number, or leave it out")
    elif isinstance(value, str) and "\0" in value:
        raise OptionError("this text holds the character NUL", where=option, hint="leave the character out")


def root_on_this_disk(root: str) -> Path:
    """Return the folder of all run folders, in which `~` is the home folder.

    Args:
        root: The option.

    Raises:
        OptionError: It is an address, or the folder of a user that there is not.
    """
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
            raise OptionError(f"{name} is {value}", where=f"--trainer.{name}", hint=f"give {least} or more")
    if options.get("limit_train_batches") == 0:
        raise OptionError(
            "limit_train_batches is 0, so nothing is trained",
            where="--trainer.limit_train_batches",
            hint="give a number of batches from 1, or a share of an epoch above 0; or leave it out",
        )
    interval = options.get("val_check_interval")
    if isinstance(interval, int | float) and not interval > 0:
        raise OptionError(
            f"val_check_interval is {interval}",
            where="--trainer.val_check_interval",
            hint="give a number of batches from 1, or a share of an epoch above 0 and up to 1.0",
        )


@contextmanager
def wording_lightning(where: str, command: str) -> Iterator[None]:
    """Turn an exception that Lightning itself raises, or one of its callbacks, into one message.

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
    except Exception as error:
        hint = f"'ee-lightning {command} --help' lists the options"
        if not isinstance(error, USER_MISTAKES) and (callback := _failed_callback(error)) is not None:
            what = f"{callback} fails: {str(error).strip() or type(error).__name__}"
            where = "--checkpoint" if callback == "ModelCheckpoint" else "--trainer.callbacks"
            raise OptionError(what, where=where, hint=f"correct its options, or leave it out; {hint}") from error
        *_, (frame, _) = walk_tb(error.__traceback__)
        module = str(frame.f_globals.get("__name__"))
        package = module.partition(".")[0]
        is_of_options = isinstance(error, MisconfigurationException) or package in _PACKAGES
        is_of_service = package == "wandb" or module.startswith("torch.distributed.")
        if not (is_of_service or (isinstance(error, _OF_OPTIONS) and is_of_options)):
            raise
        raise OptionError(str(error).strip() or type(error).__name__, where=where, hint=hint) from error


def _failed_callback(error: Exception) -> str | None:
    """Return the class of Lightning's callback that raised an error, itself or by what it calls of other libraries."""
    for frame, _ in reversed(list(walk_tb(error.__traceback__))):
        package, _, inside = str(frame.f_globals.get("__name__")).partition(".")
        if package in {"lightning", "ee_lightning", "transformers"}:
            is_callback = package == "lightning" and inside.startswith("pytorch.callbacks.")
            return type(frame.f_locals.get("self")).__name__ if is_callback else None
    return None


def quiet_lightning() -> None:
    """Leave out messages of Lightning."""
    messages = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    messages.addFilter(lambda record: "Tip:" not in record.getMessage())  # which advertise other products
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # when a run goes on
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")  # which ours can
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.pytorch\.utilities\._pytree")


def quiet_other_folders() -> None:
    """Leave out that a checkpoint comes from another folder than the command's own, as every one does that is named.

    Where a run goes on in its folder it would be a mistake.
    """
    warnings.filterwarnings("ignore", message="The dirpath has changed")
