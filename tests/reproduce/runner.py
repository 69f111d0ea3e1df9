"""Runs stand-ins in a process of its own: ``python runner.py ROOT TEMPLATE SECONDS TASK …``."""

import sys
from pathlib import Path

from rich.console import Console

from ee_lightning.reproduce.identity import Identity
from ee_lightning.reproduce.plan import PlannedRun
from ee_lightning.reproduce.progress import SuiteProgress
from ee_lightning.reproduce.run_state import examine
from ee_lightning.reproduce.runner import Runner
from ee_lightning.reproduce.suite import FitOptions, Training
from ee_lightning.runs.folder import RunFolder

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


def main(root: Path, template: str, seconds: str, *tasks: str) -> int:
    runs = []
    for task in tasks:
        training, identity = (
            Training(task, "full", 1, FitOptions(options={"seconds": seconds})),
            Identity("config", task, "weights"),
        )
        folder = RunFolder(root / "runs" / f"{task}-full-1-{identity.digest}" / "version_0")
        runs.append(PlannedRun(training, folder, examine(folder)[0], identity))
    with SuiteProgress(Console(), root, runs) as progress:
        return len(Runner(root, progress, [sys.executable, STAND_IN, template]).bring_to_end(runs))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
