"""Measures rows on the clock, each at its own operating points, beside the full model."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Criterion, Oracle
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.reporting import write_speed
from ee_lightning.reproduce.evaluation import CLOCK_BATCH, Evaluation, RunKey, StoredRun, evaluate, name_of
from ee_lightning.reproduce.plan import locked_run
from ee_lightning.reproduce.progress import say
from ee_lightning.reproduce.suite import Suite
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import SPEED, RunFolder
from ee_lightning.runs.load_run import evaluated_rows, load_run, whole_model

_REPEATS = 2
_Points = dict[tuple[str, float], Criterion]


def measure_rows(suite: Suite, folders: Mapping[RunKey, RunFolder], root: Path, console: Console) -> bool:
    """Measure the operating points of a suite's rows that were not measured yet, and write them into the run folders.

    Runs that another process is at are left to it. Failures are reported, and stop nothing. A file of speeds
    that can't be read is deleted, and written again.

    Args:
        suite: The suite.
        folders: Its finished runs, by the name of the column, that of the training, and the seed.
        root: The folder of the suite's runs.
        console: The terminal.

    Returns:
        Whether something was measured.
    """
    found, done = evaluate(suite, folders), False
    to_measure: dict[Path, tuple[RunKey, _Points]] = {}  # by folder, which trainings of the same options share
    for key, run in found.runs.items():
        if points := _points(found, key):
            to_measure.setdefault(run.folder.path, (key, {}))[1].update(points)
    for number, (key, points) in enumerate(to_measure.values(), 1):
        run = found.runs[key]
        with locked_run(root, run.folder.path.parent.name.rpartition("-")[2]) as lock:
            if lock is not None:
                task, training, seed = key
                say(console, f"on the clock [{number}/{len(to_measure)}]: {task}, {training}, seed {seed}")
                measure = partial(_measure, run, points, console)
                done |= found.attempt(f"the clock of {name_of(key)}", measure) is not None
    for problem in found.problems:
        say(console, f"not measured: {problem}")
    return done


def _points(found: Evaluation, key: RunKey) -> _Points:
    """Return the operating points on a run that were not measured yet."""
    return {
        (outcome.criterion.name, outcome.threshold): outcome.criterion
        for (of_run, row, _), outcome in found.outcomes.items()
        if of_run == key and row.criterion != Oracle.name and outcome.wall_speedup is None
    }


def _measure(run: StoredRun, points: _Points, console: Console) -> bool:
    file, before = run.folder.path / SPEED, list[MeasuredSpeed]()
    try:
        before = run.folder.read_speed().get(run.split, [])
    except RunFolderError as error:
        file.unlink(missing_ok=True)
        say(console, f"deleted, and measured again: {file}: {error.what}")
    if all(run.wall_speedup(criterion, threshold) for (_, threshold), criterion in points.items()):
        return True  # by another runner, since the rows were looked at
    model, rows = load_run(run.folder, run.split)
    samples = samples_of(evaluated_rows(rows, run.exits)[:])
    full = whole_model(run.options)
    meter = SpeedMeter(model, samples, batch_sizes=[int(CLOCK_BATCH)], repeats=_REPEATS, pool=False, full=full)
    criteria = {criterion.name for criterion in points.values()}
    measured = [each for each in before if each.criterion in criteria]
    for (_, threshold), criterion in points.items():
        measured += meter.measure(criterion, threshold)
    write_speed(run.folder, run.split, measured)
    return True
