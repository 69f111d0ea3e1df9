"""Keeps a run folder to one training at a time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout
from lightning import Trainer

from ee_lightning.errors import EarlyExitError, RunFolderError, TrainingDiverged
from ee_lightning.reporting import RunFolder, run_folder_of
from ee_lightning.reporting.metrics_log import MetricsLog


@contextmanager
def alone_in_its_folder(trainer: Trainer, *, is_new: bool) -> Iterator[None]:
    """Lock the folder of a training, on its first process only, and leave none where a new one is refused.

    Args:
        trainer: The trainer.
        is_new: Whether the training starts in a folder of its own.

    Raises:
        RunFolderError: Another process trains there, or the folder can't be written.
    """
    folder = run_folder_of(trainer)
    if folder is None or not trainer.is_global_zero:
        yield
        return
    if is_new and isinstance(trainer.logger, MetricsLog):
        folder = RunFolder(trainer.logger.take_new_folder())
    with locked(folder):
        try:
            yield
        except EarlyExitError as error:
            if is_new and not isinstance(error, TrainingDiverged):
                folder.remove_unused()
            raise


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Make a run folder, if it isn't there, and lock it.

    The lock belongs to this process, not to those that it forks, and vanishes with it, however it ends. Its file, and
    the folder if there is nothing else in it, go with the lock, but stay where the process is killed.

    Args:
        folder: The folder.

    Raises:
        RunFolderError: Another process holds the lock, or the folder can't be written.
    """
    lock = FileLock(folder.lock)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise RunFolderError(
            "another process is still training in this run folder",
            where=folder.path,
            mend="wait until it has ended, or end it; without --ckpt_path a training gets a folder of its own",
        ) from error
    except OSError as error:
        raise RunFolderError(
            f"the run folder can't be locked: {error.strerror}",
            where=folder.lock,
            mend="make the folder writable, or name another with --run.root",
        ) from error
    try:
        yield
    finally:
        folder.lock.unlink(missing_ok=True)  # while it is held, so that it is never another's
        lock.release()
        with suppress(OSError):  # where it is not empty
            folder.path.rmdir()
