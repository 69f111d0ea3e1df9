"""Runs the trainings of a sweep, one process each, and lets Optuna choose their options."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import IO, Any

import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from ee_lightning.errors import OptionError, first_line, why_ended
from ee_lightning.files import locked
from ee_lightning.tuning.sweep_file import Parameter, SweepFile

JOURNAL, LOG, LOCK = "journal.log", "fit.log", "sweep.lock"
FOLDER = "folder"
"""The attribute of a trial that holds its folder."""
SWEPT = "swept"
"""The attribute of a study that holds the metric and the parameters of its file."""
_LOOKS = 1.0
"""Seconds after which the figures of a run are read again."""
_STOPS = 60.0
"""Seconds that a run has to end."""


class Sweep:
    """A sweep in a folder, with which a later process may go on.

    Every trial is a folder with the runs of one training, so that ``tables`` compares them all.

    Args:
        file: What varies.
        folder: Where it goes.
        seed: Of the choice of options.

    Raises:
        OptionError: The folder holds another sweep, or can't be used.
    """

    def __init__(self, file: SweepFile, folder: Path, *, seed: int) -> None:
        self._file, self._folder, self._seed = file, folder, seed
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        terminate = file.early_terminate
        pruner: Any = optuna.pruners.NopPruner()
        if terminate is not None:
            pruner = optuna.pruners.HyperbandPruner(min_resource=terminate.min_iter, reduction_factor=terminate.eta)
        try:
            self.study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
                study_name="sweep",
                direction=file.metric.goal,
                pruner=pruner,
                load_if_exists=True,
            )
        except Exception as error:  # of many kinds
            hint = "name a folder that is not there yet"
            raise OptionError(f"the sweep can't be kept: {first_line(error)}", where=folder, hint=hint) from error
        parameters = {name: asdict(each) for name, each in file.parameters.items()}
        now = json.loads(json.dumps({"metric": asdict(file.metric)} | parameters))  # as the folder holds it
        before = self.study.user_attrs.get(SWEPT, now)
        if differing := [name for name in before | now if before.get(name) != now.get(name)]:
            what = f"the folder holds another sweep, which differs in {', '.join(differing)}"
            raise OptionError(what, where=folder, hint="undo the change, or name another folder with --folder")
        self.study.set_user_attr(SWEPT, now)

    @property
    def size(self) -> int | None:
        """How many trials a grid has; None for a sweep without an end."""
        return sum(1 for _ in self._points()) if self._file.method == "grid" else None

    def run(self, trials: int, jobs: int) -> None:
        """Go on until there are so many trials in all, several at a time; those that a dead process left are redone.

        The points of a grid come in the order of the file, and those that failed are tried again.

        Raises:
            OptionError: Another process is at it, or a training that one has left behind.
        """
        with locked(self._folder / LOCK) as lock:
            if lock is None:
                hint = "wait for it (--jobs runs several trainings at a time), or name another folder with --folder"
                raise OptionError("the sweep is running already", where=self._folder, hint=hint)
            self._run(trials, jobs, lock)

    def _run(self, trials: int, jobs: int, lock: int) -> None:
        is_grid = self._file.method == "grid"
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            self.study.tell(trial.number, state=TrialState.FAIL)
            if not is_grid and trial.params.keys() == self._file.parameters.keys():
                self.study.enqueue_trial(trial.params)
        done = self.study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])
        left = trials - len(done)
        if is_grid:
            waiting = self.study.get_trials(states=[TrialState.WAITING])
            known = [*(trial.params for trial in done), *(trial.system_attrs["fixed_params"] for trial in waiting)]
            missing = [point for point in self._points() if point not in known]
            for point in missing:
                self.study.enqueue_trial(point)
            left = min(left, len(waiting) + len(missing))
        if left > 0:
            seed = Random(f"{self._seed} {len(self.study.trials)}").getrandbits(32)  # a later process draws others
            self.study.sampler = TPESampler(seed=seed) if self._file.method == "bayes" else RandomSampler(seed=seed)
            self.study.optimize(partial(self._trial, lock=lock), n_trials=left, n_jobs=jobs, catch=(TrialFailed,))

    def _points(self) -> Iterator[dict[str, Any]]:
        """Return all values of the options of a grid, the last option changing first."""
        choices = [each.choices or () for each in self._file.parameters.values()]
        for values in product(*choices):
            yield dict(zip(self._file.parameters, values, strict=True))

    def finished(self) -> list[FrozenTrial]:
        """Return the trials that were completed, the best first."""
        found = self.study.get_trials(states=[TrialState.COMPLETE])
        is_more_better = self._file.metric.goal == "maximize"
        return sorted(found, key=lambda trial: trial.value or 0.0, reverse=is_more_better)

    def _trial(self, trial: Trial, lock: int) -> float:
        values = {name: _suggested(trial, name, each) for name, each in self._file.parameters.items()}
        folder = self._folder / f"trial_{trial.number:04d}"
        folder.mkdir(exist_ok=True)
        trial.set_user_attr(FOLDER, folder.name)
        command = [sys.executable, "-m", "ee_lightning", *self._file.arguments(values), f"--run.root={folder}"]
        print(f"trial {trial.number}: {' '.join(f'{name}={value}' for name, value in values.items())}", flush=True)
        output = folder / LOG
        with output.open("w", encoding="utf-8") as log, _started(command, log, lock) as process:
            reported = 0
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOKS)
                for value in [*self._logged(folder)][reported:]:
                    reported += 1
                    trial.report(value, reported)
                    if trial.should_prune():
                        print(f"trial {trial.number}: stopped, as it lags behind", flush=True)
                        raise optuna.TrialPruned
        found = [*self._logged(folder)]
        if process.returncode or not found:
            why = f"no {self._file.metric.name} was logged"
            if process.returncode:
                why = why_ended(process.returncode, output.read_text(encoding="utf-8", errors="replace"))
            print(f"trial {trial.number}: failed: {why}\n  log:   {output}", flush=True)
            raise TrialFailed
        print(f"trial {trial.number}: {self._file.metric.name} {found[-1]:.4f}", flush=True)
        return found[-1]

    def _logged(self, folder: Path) -> Iterator[float]:
        """Return the values of the metric that the run of a trial logged so far."""
        for file in folder.glob("*/version_*/metrics.csv"):
            with file.open(encoding="utf-8", newline="") as lines:
                for row in csv.DictReader(lines):
                    if value := row.get(self._file.metric.name):
                        yield float(value)


class TrialFailed(Exception):
    """A run of a sweep ended in an error; the others go on."""


@contextmanager
def _started(command: list[str], log: IO[str], lock: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process, which is asked to end where the block is left before it has; it keeps the lock while it runs."""
    process = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=(lock,) if os.name == "posix" else ())
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOPS)
            except subprocess.TimeoutExpired:
                process.kill()


def _suggested(trial: Trial, name: str, each: Parameter) -> Any:
    if each.choices is not None:
        return trial.suggest_categorical(name, each.choices)
    assert each.min is not None
    assert each.max is not None
    is_log = each.distribution == "log_uniform_values"
    if isinstance(each.min, int) and isinstance(each.max, int) and each.distribution in (None, "int_uniform"):
        return trial.suggest_int(name, each.min, each.max)
    return trial.suggest_float(name, each.min, each.max, log=is_log)
