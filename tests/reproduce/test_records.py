"""What is noted of runs tells how long the others will take."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ee_lightning.reproduce.plan import PlannedRun
from ee_lightning.reproduce.progress import Durations, Record, read_record, write_record

MakeRun = Callable[..., PlannedRun]


@pytest.fixture
def runs(make_run: MakeRun) -> list[PlannedRun]:
    """Return runs on three tasks."""
    return [make_run(task) for task in ("CoLA", "RTE", "SST-2")]


def test_a_note_is_read_again_and_a_damaged_one_is_none(tmp_path: Path, runs: list[PlannedRun]) -> None:
    assert read_record(runs[0]) is None
    record = Record(failed="it fails")
    write_record(runs[0], record)
    assert read_record(runs[0]) == record
    (tmp_path / "logs" / f"{runs[0].name}.json").write_text("{")
    assert read_record(runs[0]) is None


def test_times_are_of_the_task_on_this_machine(tmp_path: Path, runs: list[PlannedRun]) -> None:
    cola, rte, sst2 = runs
    write_record(cola, Record(seconds=10))
    write_record(rte, Record(seconds=20, machine="another"))
    durations = Durations(runs)
    assert [durations.estimate(run) for run in runs] == [10, None, None]
    assert durations.total([cola, cola, rte, sst2, rte]) == (20, ["RTE", "SST-2"])


def test_of_a_task_the_training_of_the_same_name_counts_most(make_run: MakeRun) -> None:
    run = make_run("CoLA")
    others = [
        replace(run, training=replace(run.training, name=name, seed=seed), digest=f"{name}{seed}")
        for name, seed in (("full", 2), ("ours", 1))
    ]
    for other, seconds in zip(others, (10, 40), strict=True):
        write_record(other, Record(seconds=seconds))
    assert Durations([run, *others]).estimate(run) == 10
    unlike = replace(run, training=replace(run.training, name="pabee"))
    assert Durations(others).estimate(unlike) == 25
