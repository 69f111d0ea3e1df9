"""One training, in a process of its own, alone with the lock of its run."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

from ee_lightning.errors import RunFolderError

FIT = (sys.executable, "-m", "ee_lightning", "fit")
_LOCKS = "locks"
_TICK = 1.0
_PATIENCE = 30.0


def lock_of(root: Path, name: str) -> Path:
    """Give the file that is locked while a run is trained."""
    return root / _LOCKS / f"{name}.lock"


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


def train(command: Sequence[str], log: Path, lock: int, tick: Callable[[], None]) -> int:
    """Run a training to its end.

    Its process shares the lock, so that the run stays locked while it is at work, also where this process is killed. It
    gets no signals of the terminal: where this process is interrupted, it ends the other.

    Args:
        command: What to run.
        log: The file that its output is appended to.
        lock: The descriptor of the locked file.
        tick: Called every second.

    Returns:
        The exit status, negative for the signal by which it was killed.

    Raises:
        OSError: The output can't be written, or the command can't be run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        output.write(f"# {now}, {platform.node()}: {shlex.join(command)}\n".encode())
        output.flush()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,) if os.name == "posix" else (),
        )
    try:
        while True:
            try:
                return child.wait(_TICK)
            except subprocess.TimeoutExpired:
                tick()
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process, if it is still there: it may leave by itself, but not stay."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
