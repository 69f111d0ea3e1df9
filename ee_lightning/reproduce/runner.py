"""Brings the runs of a plan to their end, however many runners share a folder; or writes a file for a cluster."""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import yaml

from ee_lightning.errors import EarlyExitError, RunFolderError, why_ended
from ee_lightning.files import read_yaml, reading, written_whole
from ee_lightning.reproduce.plan import PlannedRun, State, locked_run
from ee_lightning.reproduce.progress import Record, SuiteProgress, read_record, write_record
from ee_lightning.reproduce.suite import FitOptions, Suite, Training, fit_arguments

FIT = (sys.executable, "-m", "ee_lightning", "fit")
_TICK, _PAUSE, _PATIENCE = 1.0, 1.0, 30.0


def train(command: Sequence[str], log: Path, lock: int, tick: Callable[[], None]) -> int:
    """Run a training to its end, append its output to a log, and return its exit status, negative for a signal.

    Its process shares the descriptor of the locked file, so that the run stays locked while it is at work, also where
    this process is killed. It gets no signals of the terminal: where this process is interrupted, it ends the other.

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
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_TICK)
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


class Failure(NamedTuple):
    """A run that failed, and why, in a line or more."""

    run: PlannedRun
    reason: str


class Runner:
    """Brings runs to their end, one after the other; those that another runner is at, after all others."""

    def __init__(self, progress: SuiteProgress, command: Sequence[str] = FIT) -> None:
        self.progress, self.command = progress, command
        self.failures: list[Failure] = []

    def bring_to_end(self, runs: Sequence[PlannedRun]) -> list[Failure]:
        """Train all runs that are not finished, none of which is blocked; return those that failed, here or elsewhere.

        Raises:
            RunFolderError: The folder can't be written.
        """
        waiting = [(run, read_record(run)) for run in runs if run.state is not State.FINISHED]
        while waiting:
            elsewhere = []
            for run, earlier in waiting:
                assert run.digest is not None
                with locked_run(run.root, run.digest) as lock:
                    if lock is None:
                        elsewhere.append((run, earlier))
                    else:
                        self._bring_to_end(run.examined(), lock, earlier)
            if len(elsewhere) == len(waiting):
                self.progress.waits_for(elsewhere[0][0])
                time.sleep(_PAUSE)
            waiting = elsewhere
        return self.failures

    def _bring_to_end(self, run: PlannedRun, lock: int, earlier: Record | None) -> None:
        """Train a run, unless another runner has brought it to its end, or failed to, since the plan was made."""
        record = read_record(run)
        if run.state is State.FINISHED:
            self.progress.ended(run, "finished by another runner")
        elif record is not None and record.failed is not None and record != earlier:
            self._failed(run, record.failed)
        else:
            self.progress.started(run)
            start = time.monotonic()
            failed = self._train(run, lock)
            seconds = time.monotonic() - start
            is_new = run.state is State.TO_DO
            with suppress(RunFolderError):  # the run's end counts, not the note of it
                write_record(run, Record(failed, seconds if failed is None and is_new else None))
            if failed is None:
                self.progress.ended(run, "finished" if is_new else "resumed and finished", seconds)
            else:
                self._failed(run, failed)

    def _train(self, run: PlannedRun, lock: int) -> str | None:
        """Train a run and return why it failed; None if it is finished."""
        try:
            if run.reason is not None:
                self.progress.set_aside(run, run.set_aside())
            folder = run.folder
            folder.checkpoints.mkdir(parents=True, exist_ok=True)  # which makes it a run that can go on
            options = {
                "run.root": str(folder.path.parents[1]),
                "run.name": run.name,
                "ckpt_path": "last",
                "trainer.enable_progress_bar": False,
                "trainer.enable_model_summary": False,
            }
            if folder.config.exists():  # the weights are named as they were, for their content is the same
                with reading(folder.config, hint="delete the folder of the run, and it is trained again"):
                    options["model.backbone"] = read_yaml(folder.config)["model"]["backbone"]
            command = [*self.command, *fit_arguments(run.training.fit + FitOptions(options=options))]
            begins = run.log.stat().st_size if run.log.exists() else 0
            status = train(command, run.log, lock, self.progress.tick)
        except EarlyExitError as error:
            return str(error)
        except OSError as error:
            return f"{error.strerror}: {error.filename or run.log}"
        after = run.examined()
        if status == 0 and after.state is State.FINISHED:
            return None
        if status == 0:
            return after.reason or "it ended without figures"
        _, _, output = run.log.read_bytes()[begins:].decode(errors="replace").partition("\n")  # below its command
        return why_ended(status, output)

    def _failed(self, run: PlannedRun, reason: str) -> None:
        self.failures.append(Failure(run, reason))
        self.progress.ended(run, f"failed, see {run.log}")


PLACEHOLDER = "${args}"

_ARRAY = """\
#!/bin/bash
# The {number} trainings of the suite {suite}, a job each: sbatch {file}
# Options of sbatch, such as --gres=gpu:1 or --time=4:00:00, go before the name of the file. After all jobs, the tables:
#     {tables}
#SBATCH --job-name={suite}
#SBATCH --array=0-{last}
#SBATCH --ntasks=1
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail

case $SLURM_ARRAY_TASK_ID in
{trainings}
esac
srun {command} "$@"
"""


def write_slurm_array(
    file: Path, suite: Suite, trainings: Sequence[Training], command: Sequence[str], tables: Sequence[str]
) -> None:
    """Write a script for ``sbatch`` whose index is a training.

    A job runs the command with the options that name its training; ``tables`` makes the tables at the end.
    """
    chosen = [[f"--tasks={each.task}", f"--trainings={each.name}", f"--seeds={each.seed}"] for each in trainings]
    content = _ARRAY.format(
        number=len(trainings),
        last=len(trainings) - 1,
        suite=shlex.quote(suite.name),
        file=shlex.quote(str(file)),
        tables=shlex.join(tables),
        trainings="\n".join(f"  {index}) set -- {shlex.join(each)} ;;" for index, each in enumerate(chosen)),
        command=shlex.join(command),
    )
    with written_whole(file) as unfinished:
        unfinished.write_text(content, encoding="utf-8")


def write_wandb_sweep(file: Path, suite: Suite, trainings: Sequence[Training], command: Sequence[str]) -> None:
    """Write a file for ``wandb sweep``, whose grid is the trainings; an agent runs the command with its training."""
    of_all = zip(*((each.task, each.name, each.seed) for each in trainings), strict=True)
    grid = {name: list(dict.fromkeys(of)) for name, of in zip(("tasks", "trainings", "seeds"), of_all, strict=True)}
    sweep = {
        "name": suite.name,
        "project": "ee_lightning",
        "program": command[0],
        "method": "grid",
        "parameters": {name: {"values": values} for name, values in grid.items()},
        "command": ["${program}", *command[1:], PLACEHOLDER],
    }
    with written_whole(file) as unfinished:
        unfinished.write_text(yaml.safe_dump(sweep, sort_keys=False), encoding="utf-8")
