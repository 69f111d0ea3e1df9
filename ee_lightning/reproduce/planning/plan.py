"""What a plan is: trainings, the folders of their runs, and what is to be done about them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ee_lightning import __version__
from ee_lightning.files import found_in, read_json
from ee_lightning.reporting import RunFolder
from ee_lightning.reproduce.planning.condition import State
from ee_lightning.reproduce.suites.suite import Training
from ee_lightning.typed import typed

RUNS = "runs"
IDENTITY = "identity.json"


@dataclass(frozen=True)
class Identity:
    """What a training is known by: everything that determines what comes of it, and nothing else.

    Attributes:
        config: Digest of the resolved options, without those that change no result and without places.
        data: Digest of the rows.
        weights: Digest of the pretrained weights and their tokenizer.
        version: Of ee_lightning.
    """

    config: str
    data: str
    weights: str
    version: str = __version__

    @property
    def digest(self) -> str:
        """The digest of all of it, in eight characters."""
        return digest_of([self.config, self.data, self.weights, self.version])[:8]


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
        """Give the run with its folder of now: since the plan, a training of the same options may have got another."""
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
        """Give the runs without those of trainings that have the options of an earlier one, whose run serves them."""
        first = {run.name: run for run in reversed(self.runs)}
        return [run for run in self.runs if first[run.name] is run]

    def located(self, root: Path) -> "Plan":
        """Give the plan with the folders of now, see `PlannedRun.located`."""
        return Plan([run.located(root) for run in self.runs])

    def folder(self, training: Training) -> RunFolder:
        """Give the folder of a training's run, which need not be there.

        Raises:
            KeyError: The plan does not have that training.
        """
        for run in self.runs:
            if run.training == training:
                return run.folder
        raise KeyError(training)

    def finished(self) -> dict[tuple[str, str, int], RunFolder]:
        """Give the folders of the runs that are finished by now, by task, training and seed."""
        return {
            (run.training.task, run.training.name, run.training.seed): run.folder
            for run in self.runs
            if run.folder.is_finished
        }


def folder_of(identity: Identity, root: Path, default: RunFolder) -> RunFolder:
    """Give the folder of a run, which may bear the names of a training of another suite with the same options.

    Args:
        identity: What the run is known by.
        root: The folder of the suites' runs.
        default: Its folder where it has none yet.
    """
    made = [RunFolder(run / "version_0") for run in found_in(root / RUNS, f"*-{identity.digest}")]
    return max(made, key=lambda folder: folder.is_finished, default=default)


def read_identity(file: Path) -> Identity | None:
    """Read what a run is known by; None where the file can't be read."""
    try:
        return typed(Identity, read_json(file))
    except (OSError, ValueError):
        return None


def digest_of(content: object) -> str:
    """Give the digest of a value that JSON knows.

    Example:
        >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
