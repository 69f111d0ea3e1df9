"""A terminal shows how far a suite is, and how long it takes."""

import io
import re
from collections.abc import Callable

from rich.console import Console

from ee_lightning.reproduce.plan import PlannedRun
from ee_lightning.reproduce.progress import Record, SuiteProgress, write_record

MakeRun = Callable[..., PlannedRun]


def _shown(runs: list[PlannedRun], *, terminal: bool) -> str:
    file = io.StringIO()
    with SuiteProgress(Console(file=file, force_terminal=terminal, width=120), runs) as progress:
        progress.started(runs[0])
        progress._bar.refresh()
        progress.ended(runs[0], "finished", 61.0)
        progress.waits_for(runs[1])
        progress._bar.refresh()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())


def test_a_terminal_shows_the_time_left(make_run: MakeRun) -> None:
    runs = [make_run("CoLA"), make_run("RTE")]
    write_record(runs[0], Record(seconds=3600))
    shown = _shown(runs, terminal=True)
    assert "CoLA, full, seed 1 · 0 s" in shown
    assert "0/2 more than 60 min left" in shown
    assert "waiting for other runners: RTE, full, seed 1" in shown
    write_record(runs[1], Record(seconds=1800))
    assert "0/2 90 min left" in _shown(runs, terminal=True)


def test_a_file_gets_a_line_a_run(make_run: MakeRun) -> None:
    runs = [make_run("CoLA"), make_run("RTE")]
    assert _shown(runs, terminal=False) == "[1/2] CoLA, full, seed 1: finished in 61 s\n"
