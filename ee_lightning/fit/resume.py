"""Finds the run that ``fit`` goes on with, checks that it can, and locks its folder."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning import Trainer

from ee_lightning.errors import EarlyExitError, OptionError, RunFolderError, TrainingDiverged
from ee_lightning.files import found_in, locked, read_yaml, reading, typed
from ee_lightning.fit.metrics_log import MetricsLog
from ee_lightning.runs.folder import RunFolder, run_folder_of
from ee_lightning.runs.run_options import refuse_changes


class RunIsFinished(Exception):
    """There is nothing left to do."""


def run_to_resume(root: Path, name: str, checkpoint: str | None) -> tuple[RunFolder, int] | None:
    """Return the folder of the training run to go on with, and its version; None where a new version is to be made.

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

    Args:
        folder: The run's folder.
        options: The options that it is to go on with, nested.

    Raises:
        OptionError: Some options would change what the run computes.
        RunFolderError: The options that it was started with can't be read.
        RunIsFinished: It is complete.
    """
    recorded = _recorded_options(folder)
    if recorded:
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
    """Raise `RunIsFinished` for a run that is complete, and name those beside it that are not.

    Args:
        folder: The run's folder.
        test: Whether its test split is to be swept too.
    """
    if folder.is_finished and not (test and folder.lacks("test")):
        lines = [f"this run is finished, and nothing was done: {folder.path}", *_unfinished_beside(folder)]
        raise RunIsFinished("\n".join(lines))


def _recorded_options(folder: RunFolder) -> dict[str, Any]:
    """Read the options that a run was started with; none where it was killed before it wrote them or a checkpoint."""
    if not folder.config.exists() and not folder.last_checkpoint.exists():
        return {}
    with reading(folder.config, hint="leave --ckpt_path out to start another run"):
        recorded = read_yaml(folder.config)
        if (checkpoint := recorded.get("ckpt_path")) is not None:
            typed(str, checkpoint, at="ckpt_path")
        return recorded


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
    """Lock the folder of a training, on its first process only, and leave none if a new one is not allowed.

    Raises:
        RunFolderError: Another process trains there, or the folder can't be written.
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
    """Make a run folder, if it isn't there, and lock it; remove the lock's file, and an empty folder, at the end.

    Raises:
        RunFolderError: Another process holds the lock, or the folder can't be written.
    """
    with ExitStack() as stack:
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
    with suppress(OSError):  # where it is not empty
        folder.path.rmdir()
