"""What the terminal shows of a suite: its plan, how far it is, and how long the rest takes."""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Self

from pydantic import NonNegativeFloat
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from ee_lightning.errors import counted
from ee_lightning.files import read_json, typed, written_whole
from ee_lightning.reproduce.plan import PlannedRun, State, each_once
from ee_lightning.reproduce.suite import Suite


@dataclass(frozen=True)
class Record:
    """How a run ended: why it failed, and how long it took where it was trained in one go; when, since 1970."""

    failed: str | None = None
    seconds: NonNegativeFloat | None = None
    machine: str = field(default_factory=platform.node)
    ended: float = field(default_factory=time.time)


def read_record(run: PlannedRun) -> Record | None:
    """Read how a run ended; None where that was not noted, or can't be read."""
    try:
        return typed(Record, read_json(_record_of(run)))
    except (OSError, ValueError):
        return None


def write_record(run: PlannedRun, record: Record) -> None:
    """Note how a run ended; a `RunFolderError` where it can't be written."""
    with written_whole(_record_of(run)) as file:
        file.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


def _record_of(run: PlannedRun) -> Path:
    return run.log.with_suffix(".json")


class Durations:
    """Estimates how long trainings take, by the runs of a suite that were trained on this machine so far."""

    def __init__(self, runs: Sequence[PlannedRun]) -> None:
        records = [(run.training, record) for run in runs if (record := read_record(run)) is not None]
        self._known = [
            (training, record.seconds)
            for training, record in records
            if record.seconds is not None and record.machine == platform.node()
        ]

    def estimate(self, run: PlannedRun) -> float | None:
        """Return the mean seconds of the same training by other seeds, else of all on its task; None without any."""
        of_task = [(known.name, seconds) for known, seconds in self._known if known.task == run.training.task]
        of_name = [seconds for name, seconds in of_task if name == run.training.name]
        known = of_name or [seconds for _, seconds in of_task]
        return mean(known) if known else None

    def total(self, runs: Sequence[PlannedRun]) -> tuple[float, list[str]]:
        """Return the seconds that runs take one after the other, and the tasks left out, of which nothing is known."""
        estimates = [(run.training.task, self.estimate(run)) for run in runs]
        unknown = dict.fromkeys(task for task, seconds in estimates if seconds is None)
        return sum(seconds or 0.0 for _, seconds in estimates), list(unknown)


def print_plan(suite: Suite, meant: Sequence[PlannedRun], root: Path, console: Console, *, clock: bool) -> None:
    """Print how many trainings there are, how many are finished, how long the others take, and what is amiss."""
    runs = each_once(meant)
    counts = [f"{number} {state}" for state in State if (number := sum(run.state is state for run in runs))]
    of_rows = f"{counted(len(runs), 'training')} for {len(suite.rows)} rows: {', '.join(counts)}"
    lines = [f"{suite.name}: {suite.title}", of_rows]
    if same := len(meant) - len(runs):
        lines.append(f"{same} more would have the options of one of these, whose run serves both")
    lines.append(f"estimated time: {_estimate(runs)}")
    if clock:
        lines.append("then the rows of every finished run are measured on the clock (--no-clock leaves that out)")
    say(console, "\n".join([*lines, f"folder: {root}"]))
    console.print(_table(suite, meant))
    blocked: dict[str, list[PlannedRun]] = {}
    for run in runs:
        if run.state is State.BLOCKED:
            blocked.setdefault(run.reason or "", []).append(run)
        elif run.reason is not None:
            say(console, f"{run.title}: its folder is damaged, and it is run again: {run.reason}")
    for reason, (first, *others) in blocked.items():
        more = f", and {len(others)} more" if others else ""
        say(console, f"can't be run: {first.title}{more}: {reason}")


def _estimate(runs: Sequence[PlannedRun]) -> str:
    left = [run for run in runs if run.state in {State.TO_DO, State.TO_RESUME}]
    seconds, unknown = Durations(runs).total(left)
    if not left:
        is_blocked = any(run.state is State.BLOCKED for run in runs)
        return "none, nothing can be started" if is_blocked else "none, nothing is left to train"
    if not seconds:
        return "not known, none of them was trained on this machine yet"
    without = f", without {', '.join(unknown)}, of which nothing was trained on this machine yet" if unknown else ""
    return f"{duration(seconds)}{without}"


def _table(suite: Suite, runs: Sequence[PlannedRun]) -> Table:
    table = Table("training", "serves the rows")
    for task in suite.tasks:
        table.add_column(task, justify="right")
    for name in dict.fromkeys(run.training.name for run in runs):
        states = {task: [run.state for run in runs if run.training.key[:2] == (task, name)] for task in suite.tasks}
        rows = dict.fromkeys(row.label for row in suite.rows if row.training == name)
        table.add_row(name, ", ".join(rows), *map(_cell, states.values()))
    return table


def _cell(states: Sequence[State]) -> str:
    if not states:
        return ""
    return "–" if {*states} == {State.BLOCKED} else f"{states.count(State.FINISHED)} of {len(states)}"


def say(console: Console, text: str) -> None:
    """Print a text as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class SuiteProgress:
    """Shows how far the runs are that are to be finished; where the output is no terminal, only a line a run."""

    def __init__(self, console: Console, runs: Sequence[PlannedRun]) -> None:
        self.console, self.runs = console, runs
        self._left = {run.title: run for run in runs if run.state is not State.FINISHED}
        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=len(runs), completed=self._done, left="")
        self._current: PlannedRun | None = None
        self._started_at = self._expected = 0.0
        self._unknown = False

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away; the lines stay."""
        self._bar.stop()

    def started(self, run: PlannedRun) -> None:
        """Print that a run begins or goes on."""
        self._current, self._started_at = run, time.monotonic()
        self._expected, unknown = Durations(self.runs).total(list(self._left.values()))
        self._unknown = bool(unknown)
        self.tick()

    def tick(self) -> None:
        """Show the time."""
        if self._current is not None:
            elapsed = time.monotonic() - self._started_at
            left = duration(max(self._expected - elapsed, 0.0))
            known = f"{left} left" if not self._unknown else f"more than {left} left" if self._expected else ""
            self._bar.update(self._task, description=f"{self._current.title} · {duration(elapsed)}", left=known)

    def ended(self, run: PlannedRun, how: str, seconds: float | None = None) -> None:
        """Return how a run ended."""
        self._left.pop(run.title)
        self._current = None
        took = "" if seconds is None else f" in {duration(seconds)}"
        self._bar.update(self._task, completed=self._done, description="", left="")
        say(self.console, f"[{self._done}/{len(self.runs)}] {run.title}: {how}{took}")

    def set_aside(self, run: PlannedRun, place: Path) -> None:
        """Say that the folder of a run is damaged, and where it is now."""
        damaged = f"{run.title}: its folder is damaged, and it is run again: {run.reason}"
        say(self.console, f"{damaged}; it is now {place}")

    def waits_for(self, run: PlannedRun) -> None:
        """Show that other runners are at all runs that are left, such as this one."""
        self._bar.update(self._task, description=f"waiting for other runners: {run.title}", left="")

    @property
    def _done(self) -> int:
        return len(self.runs) - len(self._left)


def duration(seconds: float) -> str:
    """Word a time.

    Example:
        >>> [duration(seconds) for seconds in (41.3, 245, 7_500)]
        ['41 s', '4 min', '2 h 5 min']
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if seconds < 7200 else f"{minutes // 60} h {minutes % 60} min"
