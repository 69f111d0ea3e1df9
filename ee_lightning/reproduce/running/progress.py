"""What the terminal shows while a suite is run: a line a run, and below them how far it is."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ee_lightning.reproduce.planning.condition import State
from ee_lightning.reproduce.planning.plan import PlannedRun
from ee_lightning.reproduce.running.records import Durations

_MINUTE, _HOUR = 60, 3600


class SuiteProgress:
    """Shows how far a suite is; where the output is no terminal, only a line a run.

    Args:
        console: The terminal.
        root: The folder of the suite's runs.
        runs: The runs that are to be finished at the end.
    """

    def __init__(self, console: Console, root: Path, runs: Sequence[PlannedRun]) -> None:
        self.console, self.root, self.runs = console, root, runs
        self._left = {run.title: run for run in runs if run.state is not State.FINISHED}
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=len(runs), completed=self._done, left="")
        self._current: PlannedRun | None = None
        self._started_at = 0.0
        self._expected, self._unknown = 0.0, False

    def __enter__(self) -> Self:
        """Start."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away; the lines stay."""
        self._bar.stop()

    def started(self, run: PlannedRun) -> None:
        """Tell that a run begins or goes on."""
        self._current, self._started_at = run, time.monotonic()
        self._expected, unknown = Durations(self.root, self.runs).total(list(self._left.values()))
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
        """Tell how a run ended."""
        self._left.pop(run.title)
        self._current = None
        took = "" if seconds is None else f" in {duration(seconds)}"
        self._bar.update(self._task, completed=self._done, description="", left="")
        self._line(f"[{self._done}/{len(self.runs)}] {run.title}: {how}{took}")

    def set_aside(self, run: PlannedRun, damage: str | None, place: Path) -> None:
        """Tell that what a run had left is out of the way."""
        why = damage or "it has no checkpoints to go on from"
        self._line(f"{run.title}: its folder is set aside, and it is run again: {why}; it is now {place}")

    def waits_for(self, runs: Sequence[PlannedRun]) -> None:
        """Show that others are at all runs that are left."""
        self._bar.update(self._task, description=f"waiting for other runners: {runs[0].title}", left="")

    @property
    def _done(self) -> int:
        return len(self.runs) - len(self._left)

    def _line(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Word a time.

    Args:
        seconds: The time.

    Example:
        >>> [duration(seconds) for seconds in (41.3, 245, 7_500)]
        ['41 s', '4 min', '2 h 5 min']
    """
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if seconds < 2 * _HOUR else f"{minutes // 60} h {minutes % 60} min"
