"""Runs stand-ins in a process of its own: ``python runner.py ROOT TEMPLATE SECONDS TASK …``."""

import sys
from pathlib import Path

from rich.console import Console

from ee_lightning.reproduce.plan import PlannedRun, State
from ee_lightning.reproduce.progress import SuiteProgress
from ee_lightning.reproduce.runner import Runner
from ee_lightning.reproduce.suite import FitOptions, Training

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


def main(root: Path, template: str, seconds: str, *tasks: str) -> int:
    trainings = [Training(task, "full", 1, FitOptions(options={"seconds": seconds})) for task in tasks]
    runs = [PlannedRun(each, root, State.TO_DO, digest=each.task).examined() for each in trainings]
    with SuiteProgress(Console(), runs) as progress:
        return len(Runner(progress, [sys.executable, STAND_IN, template]).bring_to_end(runs))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
