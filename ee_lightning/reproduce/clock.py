"""Measures rows on the clock, each at its own operating points, beside the full model of the same weights."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

from ee_lightning.exits import Criterion, Oracle
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.inference.runs import load_run
from ee_lightning.reporting import RunFolder, write_speed
from ee_lightning.reproduce.child import attempted_lock, lock_of
from ee_lightning.reproduce.evaluation import RunKey, evaluate, name_of
from ee_lightning.reproduce.stored_run import CLOCK_BATCH, StoredRun
from ee_lightning.reproduce.suite import Suite

_Points = dict[tuple[str, float], Criterion]


def measure_rows(suite: Suite, folders: Mapping[RunKey, RunFolder], root: Path, console: Console) -> None:
    """Measure the operating points of a suite's rows that were not measured yet, and write them into the run folders.

    Runs that another process is at are left to it. What can't be measured is told, and stops nothing.

    Args:
        suite: The suite.
        folders: Its finished runs, by the name of the column, that of the training, and the seed.
        root: The folder of the suite's runs.
        console: The terminal.
    """
    found = evaluate(suite, folders)
    for key, run in found.runs.items():
        points: _Points = {}
        for (of_run, row, _), outcome in found.outcomes.items():
            if row.criterion in (None, Oracle.name) or outcome.threshold is None or outcome.wall_speedup is not None:
                continue
            if of_run == key:
                points[row.criterion, outcome.threshold] = run.criterion(row.criterion)
        if points:
            with attempted_lock(lock_of(root, run.folder.path.parent.name)) as lock, console.status("") as status:
                if lock is not None:
                    status.update(f"on the clock: {name_of(key)}")
                    found.attempt(f"the clock of {name_of(key)}", partial(_measure, run, points))
    for problem in found.problems:
        console.print(f"not measured: {problem}", markup=False, highlight=False, soft_wrap=True)


def _measure(run: StoredRun, points: _Points) -> None:
    model, rows = load_run(run.folder, run.split)
    meter = SpeedMeter(model, samples_of(rows.select(run.exits.ids.tolist())[:]), batch_sizes=[int(CLOCK_BATCH)])
    criteria = {criterion.name for criterion in points.values()}
    measured = [each for each in run.folder.read_speed().get(run.split, []) if each.criterion in criteria]
    for (_, threshold), criterion in points.items():
        measured += meter.measure(criterion, threshold)
    write_speed(run.folder, run.split, measured)
