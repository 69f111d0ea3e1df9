"""Brings the runs of a plan to their end, each once, however many runners share a folder."""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ee_lightning.errors import EarlyExitError, RunFolderError
from ee_lightning.files import read_yaml, reading
from ee_lightning.reproduce.plan import PlannedRun
from ee_lightning.reproduce.progress import Record, SuiteProgress, log_of, read_record, write_record
from ee_lightning.reproduce.run_state import (
    State,
    attempted_lock,
    examine,
    forget_digests,
    has_digests,
    lock_of,
    make_room,
    write_digests,
)
from ee_lightning.reproduce.suite import FitOptions, fit_arguments
from ee_lightning.runs.folder import RunFolder

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


_PAUSE = 1.0


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Attributes:
        run: The run.
        reason: Why, in a line or more.
        log: The file with its output.
    """

    run: PlannedRun
    reason: str
    log: Path


class Runner:
    """Brings runs to their end, one after the other; those that another runner is at, after all others.

    Args:
        root: The folder of the suite's runs.
        progress: What shows how far it is.
        command: What trains, before its options.
    """

    def __init__(self, root: Path, progress: SuiteProgress, command: Sequence[str] = FIT) -> None:
        self.root, self.progress, self.command = root, progress, command
        self.failures: list[Failure] = []

    def bring_to_end(self, runs: Sequence[PlannedRun]) -> list[Failure]:
        """Train all runs that are not finished.

        Args:
            runs: The runs, none of which is blocked.

        Returns:
            Those that failed, here or meanwhile elsewhere.

        Raises:
            RunFolderError: The folder can't be written.
        """
        earlier = {run.name: read_record(self.root, run.name) for run in runs}
        waiting = [run for run in runs if run.state is not State.FINISHED]
        while waiting:
            elsewhere = []
            for run in waiting:
                with attempted_lock(lock_of(self.root, run.name)) as lock:
                    if lock is None:
                        elsewhere.append(run)
                    else:
                        self._bring_to_end(run, lock, earlier[run.name])
            if len(elsewhere) == len(waiting):
                self.progress.waits_for(elsewhere)
                time.sleep(_PAUSE)
            waiting = elsewhere
        return self.failures

    def _bring_to_end(self, run: PlannedRun, lock: int, earlier: Record | None) -> None:
        """Train a run, unless another runner has brought it to its end since the plan was made."""
        run = run.located(self.root)
        state, damage = examine(run.folder)
        record = read_record(self.root, run.name)
        if state is State.FINISHED:
            _note_digests(run)
            self.progress.ended(run, "finished by another runner")
        elif record is not None and record.failed is not None and record != earlier:
            self._failed(run, record.failed)
        else:
            self.progress.started(run)
            start = time.monotonic()
            failed = self._train(run, lock, state, damage)
            seconds = time.monotonic() - start
            with suppress(RunFolderError):  # the run's end counts, not the note of it
                in_one_go = failed is None and state is State.TO_DO
                write_record(self.root, run.name, Record(failed, seconds if in_one_go else None))
            if failed is None:
                self.progress.ended(run, "finished" if state is State.TO_DO else "resumed and finished", seconds)
            else:
                self._failed(run, failed)

    def _train(self, run: PlannedRun, lock: int, state: State, damage: str | None) -> str | None:
        """Train a run and tell why it failed; None where it is finished."""
        log = log_of(self.root, run.name)
        options = {
            "run.root": str(run.folder.path.parents[1]),
            "run.name": run.name,
            "trainer.enable_progress_bar": False,
            "trainer.enable_model_summary": False,
        }
        try:
            if state is State.TO_RESUME:
                options |= _to_resume(run.folder)
            elif (place := make_room(run.folder, self.root)) is not None:
                self.progress.set_aside(run, damage, place)
            run.write_identity()
            forget_digests(run.folder)
            command = [*self.command, *fit_arguments(run.training.fit + FitOptions(options=options))]
            status = train(command, log, lock, self.progress.tick)
        except EarlyExitError as error:
            return str(error)
        except OSError as error:
            return f"{error.strerror}: {error.filename or log}"
        state, damage = examine(run.folder)
        if status == 0 and state is State.FINISHED:
            _note_digests(run)
            return None
        return _reason(status, damage, log)

    def _failed(self, run: PlannedRun, reason: str) -> None:
        failure = Failure(run, reason, log_of(self.root, run.name))
        self.failures.append(failure)
        self.progress.ended(run, f"failed, see {failure.log}")


def _to_resume(folder: RunFolder) -> dict[str, str]:
    """Return the options by which a run goes on: the weights are named as they were, for their content is the same."""
    options = {"ckpt_path": str(folder.last_checkpoint)}
    if folder.config.exists():
        with reading(folder.config, hint="delete the folder of the run, and it is trained anew"):
            options["model.backbone"] = read_yaml(folder.config)["model"]["backbone"]
    return options


def _note_digests(run: PlannedRun) -> None:
    with suppress(RunFolderError):  # the run's end counts, not the note of it
        if not has_digests(run.folder):
            write_digests(run.folder)


def _reason(status: int, damage: str | None, log: Path) -> str:
    """Return why a training failed, from the end of its output where it says so."""
    if status < 0:
        return f"it was killed by signal {-status}"
    if status == 0:
        return damage or "it ended without figures"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    if starts and not any(line.startswith("# ") for line in lines[starts[-1] :]):
        return "\n".join(lines[starts[-1] :]).removeprefix("error: ")
    return f"status {status}: {lines[-1]}"
