"""The plan of a suite: its trainings, the folders of their runs, and what is to be done about them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from ee_lightning.errors import EarlyExitError, RunFolderError
from ee_lightning.files import found_in, locked, read_json, read_yaml, typed
from ee_lightning.reproduce.identity import Identifier
from ee_lightning.reproduce.suite import Selection, Suite, Training, trainings
from ee_lightning.runs.folder import IDENTITY, Identity, RunFolder
from ee_lightning.runs.run_options import options_digest

_NEVER_VALIDATED = (
    "it was trained to its end, and no checkpoint was kept at a validation, so there is nothing to report\n"
    "  hint:  let it validate: see trainer.limit_val_batches, trainer.max_steps and checkpoint.save_top_k"
)
RUNS, LOGS, LOCKS = "runs", "logs", "locks"


class State(StrEnum):
    """What is to be done about a training."""

    FINISHED = "finished"
    TO_RESUME = "to resume"
    TO_DO = "to do"
    AT_WORK = "at work elsewhere"
    BLOCKED = "can't be run"


@dataclass(frozen=True)
class PlannedRun:
    """A training and its run.

    Attributes:
        training: The training.
        root: The folder of the suites' runs.
        state: What is to be done.
        digest: Of all that determines the run; None where the training can't be run.
        reason: Why it can't be run, or what is damaged in its folder.
    """

    training: Training
    root: Path
    state: State
    digest: str | None = None
    reason: str | None = None

    @property
    def folder(self) -> RunFolder:
        """Its folder, which need not exist; it may have the name of a training of another suite."""
        own = "-".join(re.sub(r"[^\w.-]+", "_", part) for part in self.training.key)
        made = [] if self.digest is None else found_in(self.root / RUNS, f"*-{self.digest}")
        folders = [RunFolder(run / "version_0") for run in made]
        default = RunFolder(self.root / RUNS / f"{own}-{self.digest or 'unknown'}" / "version_0")
        return max(folders, key=lambda folder: folder.is_finished, default=default)

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.path.parent.name

    @property
    def title(self) -> str:
        """How messages call it."""
        return "{}, {}, seed {}".format(*self.training.key)

    @property
    def log(self) -> Path:
        """The file with the output of its training."""
        return self.root / LOGS / f"{self.name}.log"

    def examined(self) -> "PlannedRun":
        """Return the run with the state of its folder, which is only read; what is damaged is to be run again."""
        folder, reason = self.folder, None
        if folder.is_finished:
            try:
                if not folder.is_swept:
                    return replace(self, state=State.BLOCKED, reason=_NEVER_VALIDATED)
                swept = folder.read_summary()
                for split in swept:
                    folder.read_exits(split)
                folder.read_calibration()
                is_whole = "test" in swept or not self.training.fit.options.get("run.test")
                state = State.FINISHED if is_whole else State.TO_RESUME
            except RunFolderError as error:
                state, reason = State.TO_DO, error.what
        else:
            state = State.TO_RESUME if folder.checkpoints.is_dir() else State.TO_DO
        return replace(self, state=state, reason=reason)

    def set_aside(self) -> Path:
        """Rename its folder, which is damaged, and return its new name."""
        path = self.folder.path
        place = next(place for number in count(1) if not (place := path.with_name(f"damaged_{number}")).exists())
        return path.rename(place)


@contextmanager
def locked_run(root: Path, digest: str) -> Iterator[int | None]:
    """Lock a run by its digest, and yield the descriptor of the locked file; None where another process has locked it.

    Raises:
        RunFolderError: It can't be locked here.
    """
    file = root / LOCKS / f"{digest}.lock"
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(locked(file))
        except OSError as error:
            raise RunFolderError(
                f"no run can be locked: {error.strerror}", where=file, hint="make the folder writable, or name another"
            ) from error
        yield lock


def each_once(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return runs without those of trainings that have the options of an earlier one, whose run serves them."""
    first = {run.digest or run.title: run for run in reversed(runs)}
    return [run for run in runs if first[run.digest or run.title] is run]


def finished(runs: Sequence[PlannedRun]) -> Mapping[tuple[str, str, int], RunFolder]:
    """Return the folders of the runs that are finished by now, by task, training and seed."""
    folders = {(run.training.task, run.training.name, run.training.seed): run.folder for run in runs}
    return {key: folder for key, folder in folders.items() if folder.is_finished}


def plan(suite: Suite, root: Path, selection: Selection | None = None) -> list[PlannedRun]:
    """Find out what there is to do for a suite; nothing is changed.

    Data and weights are read, because their content is part of a run's identity; without them a finished run is
    identified by its options. What only trainings that are not selected need is not read.

    Raises:
        OptionError: The options of a training can't be parsed.
    """
    identifier = Identifier()
    meant = [training for training in trainings(suite) if selection is None or training in selection]
    return [_planned(training, root, identifier) for training in meant]


def _planned(training: Training, root: Path, identifier: Identifier) -> PlannedRun:
    options = identifier.resolve(training.fit)
    try:
        run = PlannedRun(training, root, State.TO_DO, identifier.digest(training.fit)).examined()
    except EarlyExitError as error:
        for digest in _of_same_options(root, options):
            run = PlannedRun(training, root, State.TO_DO, digest).examined()
            if run.state is State.FINISHED:
                return run
        return PlannedRun(training, root, State.BLOCKED, reason=str(error))
    assert run.digest is not None
    if run.state is not State.FINISHED and (root / LOCKS / f"{run.digest}.lock").exists():
        with locked_run(root, run.digest) as lock:
            if lock is None:
                return replace(run, state=State.AT_WORK, reason=None)
    return run


def _of_same_options(root: Path, options: Mapping[str, Any]) -> Iterator[str]:
    """Return the digests of runs of the same options whose weights and data were at the same places, latest first."""
    files = [file for run in found_in(root / RUNS, "*") for file in run.rglob(IDENTITY)]  # an older release's: in it
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        name = file.relative_to(root / RUNS).parts[0]
        try:
            identity = typed(Identity, read_json(file), others=True)
            is_same = _places(read_yaml(root / RUNS / name / "version_0" / "config.yaml")) == _places(options)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if is_same and identity == Identity(options_digest(options)):
            yield name.rpartition("-")[2]


def _places(options: Mapping[str, Any]) -> tuple[str, str | None]:
    return options["model"]["backbone"], options["data"]["root"]
