"""Makes the plan of a suite."""

import re
from pathlib import Path

from ee_lightning.errors import EarlyExitError
from ee_lightning.files import found_in, read_yaml
from ee_lightning.reporting import RunFolder
from ee_lightning.reproduce.planning.condition import State, examine
from ee_lightning.reproduce.planning.identifier import Identifier, Places, places_of
from ee_lightning.reproduce.planning.locks import is_locked, lock_of
from ee_lightning.reproduce.planning.plan import IDENTITY, RUNS, Identity, Plan, PlannedRun, folder_of, read_identity
from ee_lightning.reproduce.suites.selection import Selection
from ee_lightning.reproduce.suites.suite import Suite, Training, trainings


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
