"""One training, in a process of its own, alone with the lock of its run."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

FIT = (sys.executable, "-m", "ee_lightning", "fit")
_TICK = 1.0
_PATIENCE = 30.0


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
