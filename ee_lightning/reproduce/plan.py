"""The plan of a suite: its trainings, the folders of their runs, and what is to be done about them."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ee_lightning.errors import EarlyExitError
from ee_lightning.files import found_in, read_yaml
from ee_lightning.reproduce.identity import IDENTITY, Identifier, Identity, Places, places_of, read_identity
from ee_lightning.reproduce.run_state import State, examine, is_locked, lock_of
from ee_lightning.reproduce.suite import Selection, Suite, Training, trainings
from ee_lightning.runs.folder import RunFolder

RUNS = "runs"


@dataclass(frozen=True)
class PlannedRun:
    """A training and its run.

    Attributes:
        training: The training.
        folder: The folder of its run, whose parent bears the run's name; it need not be there.
        state: What is to be done.
        identity: What the run is known by; None where the training can't be run.
        reason: Why it can't be run, or what is damaged in its folder, which is then to be set aside.
    """

    training: Training
    folder: RunFolder
    state: State
    identity: Identity | None = None
    reason: str | None = None

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.path.parent.name

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.training.task}, {self.training.name}, seed {self.training.seed}"

    def located(self, root: Path) -> "PlannedRun":
        """Return the run with its folder of now; a training of the same options may have got another since the plan."""
        if self.identity is None or self.folder.is_finished:
            return self
        return replace(self, folder=folder_of(self.identity, root, default=self.folder))

    def write_identity(self) -> None:
        """Write what the run is known by beside its folder.

        Raises:
            RunFolderError: It can't be written.
        """
        assert self.identity is not None
        with RunFolder(self.folder.path.parent).whole(IDENTITY) as file:
            file.write_text(json.dumps(asdict(self.identity), indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Plan:
    """What there is to do for a suite.

    Attributes:
        runs: One a training, in the order of the trainings.
    """

    runs: Sequence[PlannedRun]

    def each_once(self) -> list[PlannedRun]:
        """Return the runs without those of trainings that have the options of an earlier one, whose run serves them."""
        first = {run.name: run for run in reversed(self.runs)}
        return [run for run in self.runs if first[run.name] is run]

    def located(self, root: Path) -> "Plan":
        """Return the plan with the folders of now, see `PlannedRun.located`."""
        return Plan([run.located(root) for run in self.runs])

    def folder(self, training: Training) -> RunFolder:
        """Return the folder of a training's run, which need not be there.

        Raises:
            KeyError: The plan does not have that training.
        """
        for run in self.runs:
            if run.training == training:
                return run.folder
        raise KeyError(training)

    def finished(self) -> dict[tuple[str, str, int], RunFolder]:
        """Return the folders of the runs that are finished by now, by task, training and seed."""
        return {
            (run.training.task, run.training.name, run.training.seed): run.folder
            for run in self.runs
            if run.folder.is_finished
        }


def folder_of(identity: Identity, root: Path, default: RunFolder) -> RunFolder:
    """Return the folder of a run, which may bear the names of a training of another suite with the same options.

    Args:
        identity: What the run is known by.
        root: The folder of the suites' runs.
        default: Its folder where it has none yet.
    """
    made = [RunFolder(run / "version_0") for run in found_in(root / RUNS, f"*-{identity.digest}")]
    return max(made, key=lambda folder: folder.is_finished, default=default)


def plan(suite: Suite, root: Path, selection: Selection | None = None) -> Plan:
    """Find out what there is to do for a suite; nothing is changed.

    Data and weights are read, as a run is known by their content; without them a finished run is known by its options.

    Args:
        suite: The suite.
        root: The folder of its runs, which lie in ``root/runs``.
        selection: Of which trainings alone; None for all. What only others need is not read.

    Raises:
        OptionError: The options of a training can't be parsed.
    """
    identifier, folders = Identifier(), dict[str, RunFolder]()
    meant = [training for training in trainings(suite) if selection is None or training in selection]
    return Plan([_planned(training, root, identifier, folders) for training in meant])


def _planned(training: Training, root: Path, identifier: Identifier, folders: dict[str, RunFolder]) -> PlannedRun:
    """Plan a training; the folders of earlier ones are known by their digests, and that of this one is put there."""
    config = identifier.config(training.fit)
    try:
        identity = identifier.identity(training.fit)
    except EarlyExitError as error:
        return _without_sources(training, root, config, identifier.places(training.fit), str(error))
    folder = folder_of(identity, root, default=_folder(root, training, identity.digest))
    folder = folders.setdefault(identity.digest, folder)
    state, damage = examine(folder)
    if state is not State.FINISHED and is_locked(lock_of(root, folder.path.parent.name)):
        state, damage = State.AT_WORK, None
    return PlannedRun(training, folder, state, identity, damage)


def _without_sources(training: Training, root: Path, config: str, places: Places, reason: str) -> PlannedRun:
    """Find the latest finished run of a training whose data or weights can't be read, of the same places as asked."""
    files = [file for run in found_in(root / RUNS, "*") if (file := run / IDENTITY).is_file()]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        folder, identity = RunFolder(file.parent / "version_0"), read_identity(file)
        is_known = identity is not None and (identity.config, identity.version) == (config, Identity.version)
        if is_known and examine(folder)[0] is State.FINISHED and _places(folder) == places:
            return PlannedRun(training, folder, State.FINISHED, identity)
    return PlannedRun(training, _folder(root, training, "unknown"), State.BLOCKED, reason=reason)


def _places(folder: RunFolder) -> Places | None:
    """Return where a run says that its weights and data were; None where it does not say so."""
    try:
        return places_of(read_yaml(folder.config))
    except (KeyError, TypeError):
        return None


def _folder(root: Path, training: Training, digest: str) -> RunFolder:
    return RunFolder(root / RUNS / f"{_stem(training)}-{digest}" / "version_0")


def _stem(training: Training) -> str:
    return "-".join(re.sub(r"[^\w.-]+", "_", part) for part in (training.task, training.name, str(training.seed)))
