"""How the trainings of a suite ended and how long they took, as their runner has noted it."""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean

from pydantic import NonNegativeFloat

from ee_lightning.files import read_json, written_whole
from ee_lightning.reproduce.planning.plan import PlannedRun
from ee_lightning.typed import typed

LOGS = "logs"


@dataclass(frozen=True)
class Record:
    """How a run ended.

    Attributes:
        failed: Why it failed; None where it is finished.
        seconds: How long it took; None where it was not trained in one go.
        machine: On which.
        ended: When, in seconds since 1970.
    """

    failed: str | None = None
    seconds: NonNegativeFloat | None = None
    machine: str = field(default_factory=platform.node)
    ended: float = field(default_factory=time.time)


def log_of(root: Path, name: str) -> Path:
    """Give the file with the output of a run's training."""
    return root / LOGS / f"{name}.log"


def read_record(root: Path, name: str) -> Record | None:
    """Read how a run ended; None where that was not noted, or can't be read."""
    try:
        return typed(Record, read_json(_file(root, name)))
    except (OSError, ValueError):
        return None


def write_record(root: Path, name: str, record: Record) -> None:
    """Note how a run ended.

    Raises:
        RunFolderError: It can't be written.
    """
    with written_whole(_file(root, name)) as file:
        file.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


class Durations:
    """Estimates how long trainings take, by those that were trained on this machine so far.

    Args:
        root: The folder of the suite's runs.
        runs: The runs of the suite.
    """

    def __init__(self, root: Path, runs: Sequence[PlannedRun]) -> None:
        self._known: dict[str, dict[str, list[float]]] = {}  # by task, by training
        for run in runs:
            record = read_record(root, run.name)
            if record is not None and record.seconds is not None and record.machine == platform.node():
                of_task = self._known.setdefault(run.training.task, {})
                of_task.setdefault(run.training.name, []).append(record.seconds)

    def estimate(self, run: PlannedRun) -> float | None:
        """Give the mean seconds of the same training by other seeds, or else of all trainings on its task.

        Returns:
            None where no training on the task is known.
        """
        of_task = self._known.get(run.training.task, {})
        known = of_task.get(run.training.name) or [seconds for all_of in of_task.values() for seconds in all_of]
        return mean(known) if known else None

    def total(self, runs: Sequence[PlannedRun]) -> tuple[float, list[str]]:
        """Estimate the seconds that runs take one after the other.

        Returns:
            The seconds, and the tasks of the runs left out, of which nothing is known.
        """
        estimates = [self.estimate(run) for run in runs]
        unknown = [run.training.task for run, seconds in zip(runs, estimates, strict=True) if seconds is None]
        return sum(seconds or 0.0 for seconds in estimates), list(dict.fromkeys(unknown))


def _file(root: Path, name: str) -> Path:
    return root / LOGS / f"{name}.json"
