"""What is noted of runs tells how long the others will take."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ee_lightning.reproduce.plan import PlannedRun
from ee_lightning.reproduce.progress import Durations, Record, read_record, write_record

MakeRun = Callable[..., PlannedRun]


@pytest.fixture
def runs(make_run: MakeRun) -> list[PlannedRun]:
    """Give runs on three tasks."""
    return [make_run(task) for task in ("CoLA", "RTE", "SST-2")]


def test_a_note_is_read_again_and_a_damaged_one_is_none(tmp_path: Path, runs: list[PlannedRun]) -> None:
    assert read_record(tmp_path, runs[0].name) is None
    record = Record(failed="it fails")
    write_record(tmp_path, runs[0].name, record)
    assert read_record(tmp_path, runs[0].name) == record
    (tmp_path / "logs" / f"{runs[0].name}.json").write_text("{")
    assert read_record(tmp_path, runs[0].name) is None


def test_times_are_of_the_task_on_this_machine(tmp_path: Path, runs: list[PlannedRun]) -> None:
    cola, rte, sst2 = runs
    write_record(tmp_path, cola.name, Record(seconds=10))
    write_record(tmp_path, rte.name, Record(seconds=20, machine="another"))
    durations = Durations(tmp_path, runs)
    assert [durations.estimate(run) for run in runs] == [10, None, None]
    assert durations.total([cola, cola, rte, sst2, rte]) == (20, ["RTE", "SST-2"])


def test_of_a_task_the_training_of_the_same_name_counts_most(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run("CoLA")
    others = [
        PlannedRun(type(run.training)("CoLA", name, seed, run.training.fit), make_run(f"CoLA-{name}").folder, run.state)
        for name, seed in (("full", 2), ("ours", 1))
    ]
    for other, seconds in zip(others, (10, 40), strict=True):
        write_record(tmp_path, other.name, Record(seconds=seconds))
    assert Durations(tmp_path, [run, *others]).estimate(run) == 10
    unlike = PlannedRun(type(run.training)("CoLA", "pabee", 1, run.training.fit), run.folder, run.state)
    assert Durations(tmp_path, others).estimate(unlike) == 25
