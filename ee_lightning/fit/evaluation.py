"""Finds the run of a checkpoint that is evaluated, and refuses options that contradict it."""

from argparse import ArgumentError, ArgumentParser
from collections.abc import Mapping, Sequence
from os.path import realpath
from pathlib import Path, PurePath
from typing import Any

from ee_lightning.data import CustomTask, resolve_task
from ee_lightning.errors import RunFolderError
from ee_lightning.files import read_yaml, reading
from ee_lightning.fit.checkpoints import refuse_missing
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.run_options import refuse_changes

FREE_TO_DIFFER = (
    "checkpoint",
    "data.batch_size",
    "data.eval_batch_size",
    "last_checkpoint",
    "run",
    "sweep",
    "trainer",
    "verbose",
    "weights_only",
)
"""The options, with all below them, that don't change what a model says of a row."""


def evaluated_run(arguments: Sequence[str]) -> RunFolder | None:
    """Return the folder of the run whose checkpoint ``validate`` or ``test`` is to evaluate.

    It is None for another command, and where no ``config.yaml`` lies two folders above the checkpoint.

    Args:
        arguments: The command and its options.

    Raises:
        OptionError: There is no such checkpoint.
        RunFolderError: The run's ``config.yaml`` can't be read.
    """
    if arguments[0] not in {"validate", "test"} or (checkpoint := _named_checkpoint(arguments[1:])) is None:
        return None
    if "${" not in checkpoint:  # which names another option
        refuse_missing(checkpoint, arguments[0])
    file = Path(realpath(checkpoint))
    folder = RunFolder(file.parent.parent)
    if folder.checkpoints != file.parent or not file.is_file() or not folder.config.is_file():
        return None
    with reading(folder.config, hint="restore it, or copy the checkpoint elsewhere and give every option"):
        read_yaml(folder.config)  # within bounds, where the parser has none
    return folder


def check_evaluable(folder: RunFolder, recorded: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise an `OptionError` for options that contradict the run whose checkpoint they are to evaluate.

    The task may have another name, other files or other metrics, as long as it has the same labels. The backbone may
    lie elsewhere.

    Args:
        folder: The run's folder.
        recorded: The options that the run was started with, nested.
        given: The options that it is to be evaluated by, nested.
    """
    refuse_changes(
        _as_the_model_sees_them(recorded),
        _as_the_model_sees_them(given),
        "these options contradict the run of the checkpoint:",
        where=folder.config,
        ways=["leave them out: the run's own options are taken from there"],
        free=FREE_TO_DIFFER,
    )


def _as_the_model_sees_them(options: Mapping[str, Any]) -> dict[str, Any]:
    data, model = dict(options["data"]), dict(options["model"])
    model["backbone"] = PurePath(model["backbone"]).name
    if "class_path" in data:  # a data module of the user's own
        return {**options, "model": model}
    own = None if (described := data.pop("own")) is None else CustomTask(**described)
    task = resolve_task(data.pop("task"), own, data["root"])
    data["task"] = {
        "label_names": list(task.label_names),
        "kind": task.target.kind.value,
        "number of texts": len(task.text_columns),
        "held out": None if own is None else dict(task.held_out),
    }
    return {**options, "data": data, "model": model}


def _named_checkpoint(options: Sequence[str]) -> str | None:
    """Return the checkpoint that is named last, by a flag or in a configuration file."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--ckpt_path", action="append", dest="named", default=[])
    parser.add_argument("-c", "--config", action="append", dest="named", type=_checkpoint_in)
    try:
        named = parser.parse_known_args(options)[0].named
    except ArgumentError:  # which the parser of all options words
        return None
    return next((name for name in reversed(named) if name is not None), None)


def _checkpoint_in(config: str) -> str | None:
    try:
        with reading(Path(config), hint=""):
            named = read_yaml(Path(config)).get("ckpt_path")
    except RunFolderError:  # which the parser of all options words
        return None
    return named if isinstance(named, str) else None
