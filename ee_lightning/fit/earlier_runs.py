"""Finds the run that ``fit`` goes on with, or whose checkpoint is evaluated, checks the options, and locks folders."""

from argparse import ArgumentError, ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from os.path import realpath
from pathlib import Path, PurePath
from typing import Any

from lightning import Trainer

from ee_lightning.data import CustomTask, resolve_task
from ee_lightning.errors import EarlyExitError, OptionError, RunFolderError, TrainingDiverged
from ee_lightning.files import found_in, locked, read_yaml, reading, typed
from ee_lightning.fit.checkpoints import refuse_missing
from ee_lightning.fit.metrics_log import MetricsLog
from ee_lightning.runs.folder import RunFolder, run_folder_of
from ee_lightning.runs.run_options import refuse_changes


class RunIsFinished(Exception):
    """There is nothing left to do."""


def run_to_resume(root: Path, name: str, checkpoint: str | None) -> tuple[RunFolder, int] | None:
    """Return the folder and version of the training run to go on with; None where a new version is to be made.

    Args:
        root: The folder of all run folders.
        name: The run's name.
        checkpoint: ``last`` goes on with the newest version; the path of a version's ``last.ckpt`` with that version,
            even where the file was not written yet.

    Raises:
        OptionError: There is no training run of that name.
    """
    versions = _training_runs(root / name)
    if checkpoint == "last":
        if not versions:
            raise OptionError(
                "there is no training run to go on with",
                where=root / name,
                hint="leave --ckpt_path last out to start one, or name another with --run.root and --run.name",
            )
        return versions[max(versions)], max(versions)
    for version, folder in versions.items():
        if checkpoint is not None and folder.last_checkpoint.resolve() == Path(checkpoint).resolve():
            return folder, version
    return None


def check_resumable(folder: RunFolder, options: Mapping[str, Any]) -> str | None:
    """Return the checkpoint of another run from which this one was started, if it was.

    Raises:
        OptionError: Some of the nested options would change what the run computes.
        RunFolderError: The options that it was started with can't be read.
        RunIsFinished: It is complete.
    """
    recorded: dict[str, Any] = {}
    if folder.config.exists() or folder.last_checkpoint.exists():  # else it was killed before it wrote either
        with reading(folder.config, hint="leave --ckpt_path out to start another run"):
            recorded = read_yaml(folder.config)
            if (checkpoint := recorded.get("ckpt_path")) is not None:
                typed(str, checkpoint, at="ckpt_path")
        refuse_changes(
            recorded,
            options,
            "these options differ from those that the run was started with:",
            where=folder.config,
            ways=[
                f"give them as they were, for instance by --config {folder.config} before --ckpt_path;",
                "or start another run, without --ckpt_path, or from this checkpoint under another --run.name",
                *_unfinished_beside(folder),
            ],
        )
    refuse_finished(folder, test=bool(options["run"]["test"]))
    return recorded.get("ckpt_path")


def refuse_finished(folder: RunFolder, *, test: bool) -> None:
    """Raise `RunIsFinished` for a complete run, whose test split is swept if asked for, and name those beside it."""
    if folder.is_finished and not (test and folder.lacks("test")):
        lines = [f"this run is finished, and nothing was done: {folder.path}", *_unfinished_beside(folder)]
        raise RunIsFinished("\n".join(lines))


def _unfinished_beside(folder: RunFolder) -> list[str]:
    return [
        f"{run.path} is not finished; --ckpt_path {run.last_checkpoint} goes on with it"
        for _, run in sorted(_training_runs(folder.path.parent).items())
        if run.path != folder.path and not run.is_finished
    ]


def _training_runs(folder: Path) -> dict[int, RunFolder]:
    """Find the versions of a run that ``fit`` made."""
    versions = {path.name.removeprefix("version_"): RunFolder(path) for path in found_in(folder, "version_*")}
    return {int(name): run for name, run in versions.items() if name.isdecimal() and run.checkpoints.exists()}


@contextmanager
def alone_in_its_folder(trainer: Trainer, *, is_new: bool) -> Iterator[None]:
    """Lock the folder of a command, on its first process only, and leave none if a new one is not allowed.

    Raises:
        RunFolderError: Another process is at work there, or the folder can't be written.
    """
    folder = run_folder_of(trainer)
    if folder is None or not trainer.is_global_zero:
        yield
        return
    if is_new and isinstance(trainer.logger, MetricsLog):
        folder = RunFolder(trainer.logger.take_new_folder())
    with locked_folder(folder):
        try:
            yield
        except EarlyExitError as error:
            if is_new and not isinstance(error, TrainingDiverged):
                folder.remove_unused()
            raise


@contextmanager
def locked_folder(folder: RunFolder) -> Iterator[None]:
    """Make a run folder, if it isn't there, and lock it; remove the lock's file, and empty folders, at the end.

    Raises:
        RunFolderError: Another process holds the lock, or the folder can't be written.
    """
    with ExitStack() as stack:
        stack.callback(_remove_empty, folder.path, folder.path.parent)  # after an error, too
        try:
            is_ours = stack.enter_context(locked(folder.lock)) is not None
        except OSError as error:
            raise RunFolderError(
                f"the run folder can't be locked: {error.strerror}",
                where=folder.lock,
                hint="make the folder writable, or name another with --run.root",
            ) from error
        if not is_ours:
            raise RunFolderError(
                "another process is still training in this run folder",
                where=folder.path,
                hint="wait until it has ended, or end it; without --ckpt_path a training gets a folder of its own",
            )
        try:
            yield
        finally:
            folder.lock.unlink(missing_ok=True)  # while it is held, so that it is never another's


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        with suppress(OSError):  # where it is gone, or not empty
            folder.rmdir()


def evaluated_run(arguments: Sequence[str]) -> RunFolder | None:
    """Return the folder of the run whose checkpoint ``validate`` or ``test``, which comes first, is to evaluate.

    It is None for another command, and where no ``config.yaml`` lies two folders above the checkpoint.

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
    """Raise an `OptionError` for nested options that contradict those of the run whose checkpoint they evaluate.

    The task may have another name, other files or other metrics, as long as it has the same labels. The backbone may
    lie elsewhere.
    """
    refuse_changes(
        _as_the_model_sees_them(recorded),
        _as_the_model_sees_them(given),
        "these options contradict the run of the checkpoint:",
        where=folder.config,
        ways=["leave them out: the run's own options are taken from there"],
        free=(  # what doesn't change what a model says of a row
            *("data.batch_size", "data.eval_batch_size", "trainer", "run", "sweep", "verbose", "weights_only"),
            *("checkpoint", "last_checkpoint"),
        ),
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
