"""Prints a plan."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ee_lightning.reproduce.planning.condition import State
from ee_lightning.reproduce.planning.plan import Plan, PlannedRun
from ee_lightning.reproduce.running.progress import duration
from ee_lightning.reproduce.running.records import Durations
from ee_lightning.reproduce.suites.suite import Suite


def print_plan(suite: Suite, meant: Plan, root: Path, console: Console, *, clock: bool) -> None:
    """Print how many trainings there are, how many of them are finished, how long the others take, and what is amiss.

    Args:
        suite: The suite.
        meant: What to tell of.
        root: The folder of the suite's runs.
        console: The terminal.
        clock: Whether the rows are measured on the clock when the trainings are done.
    """
    runs = meant.each_once()
    counts = [f"{number} {state}" for state in State if (number := sum(run.state is state for run in runs))]
    lines = [f"{suite.name}: {suite.title}", f"{_number(runs)} for {len(suite.rows)} rows: {', '.join(counts)}"]
    if same := len(meant.runs) - len(runs):
        lines.append(f"{same} more would have the options of one of these, whose run serves both")
    lines.append(_estimate(runs, root))
    if clock:
        lines.append("then the rows of every finished run are measured on the clock (--no-clock leaves that out)")
    _print(console, "\n".join([*lines, f"folder: {root}"]))
    console.print(_table(suite, meant.runs))
    for run in runs:
        if run.state is State.TO_DO and run.reason is not None:
            _print(console, f"{run.title}: its folder is damaged, and it is run again: {run.reason}")
    for reason, blocked in _by_reason(runs).items():
        more = "" if len(blocked) == 1 else f", and {len(blocked) - 1} more"
        _print(console, f"can't be run: {blocked[0].title}{more}: {reason}")


def _number(runs: Sequence[PlannedRun]) -> str:
    return f"{len(runs)} training{'s' * (len(runs) != 1)}"


def _estimate(runs: Sequence[PlannedRun], root: Path) -> str:
    left = [run for run in runs if run.state in {State.TO_DO, State.TO_RESUME}]
    seconds, unknown = Durations(root, runs).total(left)
    if not left and any(run.state is State.BLOCKED for run in runs):
        return "estimated time: none, nothing can be started"
    if not left:
        return "estimated time: none, nothing is left to train"
    if not seconds:
        return "estimated time: not known, none of them was trained on this machine yet"
    without = f", without {', '.join(unknown)}, of which nothing was trained on this machine yet" if unknown else ""
    return f"estimated time: {duration(seconds)}{without}"


def _table(suite: Suite, runs: Sequence[PlannedRun]) -> Table:
    table = Table("training", "serves the rows")
    for task in suite.tasks:
        table.add_column(task, justify="right")
    for name in suite.trainings:
        of_training = [run for run in runs if run.training.name == name]
        rows = dict.fromkeys(row.label for row in suite.rows if row.training == name)
        cells = [_cell([run for run in of_training if run.training.task == task]) for task in suite.tasks]
        if of_training:
            table.add_row(name, ", ".join(rows), *cells)
    return table


def _cell(runs: Sequence[PlannedRun]) -> str:
    if runs and all(run.state is State.BLOCKED for run in runs):
        return "–"
    finished = sum(run.state is State.FINISHED for run in runs)
    return f"{finished} of {len(runs)}" if runs else ""


def _by_reason(runs: Sequence[PlannedRun]) -> dict[str, list[PlannedRun]]:
    reasons: dict[str, list[PlannedRun]] = {}
    for run in runs:
        if run.state is State.BLOCKED:
            reasons.setdefault(run.reason or "", []).append(run)
    return reasons


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
