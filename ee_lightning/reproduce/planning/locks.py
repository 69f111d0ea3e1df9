"""The locks of runs, by which several commands share the work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

from ee_lightning.errors import RunFolderError

_LOCKS = "locks"


def lock_of(root: Path, name: str) -> Path:
    """Give the file that is locked while a run is trained: one for all names that runs of a digest may have."""
    return root / _LOCKS / f"{name.rpartition('-')[2]}.lock"


def is_locked(file: Path) -> bool:
    """Tell whether a process has locked a run; nothing is written.

    Raises:
        RunFolderError: It can't be found out here.
    """
    if not file.exists():
        return False
    with attempted_lock(file) as lock:
        return lock is None


@contextmanager
def attempted_lock(file: Path) -> Iterator[int | None]:
    """Lock a run, if nobody else has.

    Args:
        file: The file to lock, which stays.

    Yields:
        The descriptor of the locked file; None where another process has locked it.

    Raises:
        RunFolderError: It can't be locked here.
    """
    locked, descriptor = False, None
    try:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            locked = lock_descriptor(descriptor, blocking=False)
        except OSError as error:
            raise RunFolderError(
                f"no run can be locked: {error.strerror}", where=file, mend="make the folder writable, or name another"
            ) from error
        yield descriptor if locked else None
    finally:
        if descriptor is not None:
            if locked:
                unlock_descriptor(descriptor)
            os.close(descriptor)
