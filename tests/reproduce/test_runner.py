"""Every run is brought to its end once, whatever happens to the others, to its process, or to the runner."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from forked import Command

from ee_lightning.errors import RunFolderError
from ee_lightning.fit.signals import interruptible
from ee_lightning.reproduce.plan import PlannedRun, State, finished
from ee_lightning.reproduce.progress import read_record
from ee_lightning.reproduce.runner import Runner

RUNNER = Path(__file__).with_name("runner.py")
MakeRun = Callable[..., PlannedRun]
MakeRunner = Callable[..., Runner]


def _lines(root: Path, start: str) -> int:
    return sum(line.startswith(start) for log in root.glob("logs/*.log") for line in log.read_text().splitlines())


def _starts(root: Path) -> int:
    return _lines(root, "# ")


def _trained(root: Path) -> int:
    return _lines(root, "trained")


def test_runs_are_finished_once_and_noted(
    make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run("CoLA"), make_run("RTE")]
    assert make_runner(runs).bring_to_end(runs) == []
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" in ")[0] for line in printed] == [
        "[1/2] CoLA, full, seed 1: finished",
        "[2/2] RTE, full, seed 1: finished",
    ]
    record = read_record(runs[0])
    assert record is not None
    assert record.failed is None
    assert 0 < record.seconds < 60  # type: ignore[operator]

    again = [make_run("CoLA"), make_run("RTE")]
    assert [run.state for run in again] == [State.FINISHED, State.FINISHED]
    assert make_runner(again).bring_to_end(again) == []
    assert capsys.readouterr().out == ""
    assert _starts(tmp_path) == _trained(tmp_path) == 2


def test_a_failing_run_stops_no_other_and_is_tried_again_by_the_next_call(
    make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run("CoLA", act="fail"), make_run("RTE")]
    (failure,) = make_runner(runs).bring_to_end(runs)
    assert failure.run.title == runs[0].title
    assert failure.reason == "it fails\n  hint:  don't"
    assert failure.run.log.read_text().endswith("error: it fails\n  hint:  don't\n")
    assert f"CoLA, full, seed 1: failed, see {failure.run.log}" in capsys.readouterr().out
    again = [make_run("CoLA"), make_run("RTE")]
    assert [run.state for run in again] == [State.TO_RESUME, State.FINISHED]
    assert make_runner(again).bring_to_end(again) == []
    assert _trained(tmp_path) == 2


@pytest.mark.parametrize("act", ["die", "leave", "say nothing"])
def test_a_run_whose_process_ends_early_has_failed_and_goes_on_in_the_next_call(
    act: str, make_run: MakeRun, make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run("CoLA", act=act)
    (failure,) = make_runner([run]).bring_to_end([run])
    assert (
        failure.reason
        == {
            "die": "it was killed by signal 9: the usual cause is too little memory",
            "leave": "it ended without figures",
            "say nothing": "status 1: it printed nothing",
        }[act]
    )
    again = make_run("CoLA", act=act)
    assert make_runner([again]).bring_to_end([again]) == []
    assert "going on from last" in failure.run.log.read_text()
    assert "resumed and finished" in capsys.readouterr().out
    assert "--model.backbone=begun/with" in failure.run.log.read_text()


def test_two_runners_share_the_work(make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path) -> None:
    runs = [make_run(f"task{number}", seconds=0.3) for number in range(6)]
    runners = [make_runner(runs) for _ in range(2)]
    threads = [threading.Thread(target=runner.bring_to_end, args=(runs,)) for runner in runners]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [runner.failures for runner in runners] == [[], []]
    assert _starts(tmp_path) == _trained(tmp_path) == 6
    assert {run.examined().state for run in runs} == {State.FINISHED}
    assert time.monotonic() - start > 0.9  # three by each


def test_trainings_of_the_same_options_that_two_suites_name_apart_are_run_once(
    make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = [[make_run("CoLA", name, seconds=0.3)] for name in ("ours", "ensemble")]  # before either has a folder
    runners = [make_runner(runs) for runs in planned]
    threads = [
        threading.Thread(target=run.bring_to_end, args=(runs,)) for run, runs in zip(runners, planned, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [runner.failures for runner in runners] == [[], []]
    assert _starts(tmp_path) == _trained(tmp_path) == 1
    assert "finished by another runner" in capsys.readouterr().out
    folders = [finished(runs).values() for runs in planned]
    assert [len(of_one) for of_one in folders] == [1, 1]
    assert len({folder.path for of_one in folders for folder in of_one}) == 1


def test_what_fails_at_another_runner_is_not_tried_again_but_reported(
    make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path
) -> None:
    runs = [make_run("CoLA", act="fail", seconds=0.5)]
    one, other = make_runner(runs), make_runner(runs)
    thread = threading.Thread(target=one.bring_to_end, args=(runs,))
    thread.start()
    while not _starts(tmp_path):
        time.sleep(0.02)
    other.bring_to_end(runs)
    thread.join()
    assert [failure.reason for failure in one.failures] == [failure.reason for failure in other.failures]
    assert len(other.failures) == 1
    assert _starts(tmp_path) == 1


def test_a_request_to_end_ends_the_training_too(make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path) -> None:
    run = make_run("CoLA", seconds=60)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    start = time.monotonic()
    with interruptible(), pytest.raises(KeyboardInterrupt):
        make_runner([run]).bring_to_end([run])
    assert time.monotonic() - start < 30
    again = make_run("CoLA")
    assert again.state is State.TO_RESUME
    assert make_runner([again]).bring_to_end([again]) == []  # nobody holds the lock
    assert (_starts(tmp_path), _trained(tmp_path)) == (2, 1)


def test_a_training_outlives_a_killed_runner_and_the_next_one_waits_for_it(
    make_run: MakeRun, make_runner: MakeRunner, template: Path, tmp_path: Path
) -> None:
    runner = Command(tmp_path, template, "3", "CoLA", "RTE", script=RUNNER, folder=tmp_path)
    while not _starts(tmp_path):
        time.sleep(0.02)
    runner.kill()
    assert runner.ends() == -signal.SIGKILL
    runs = [make_run("CoLA"), make_run("RTE")]
    assert make_runner(runs).bring_to_end(runs) == []
    assert "trained" in (tmp_path / "logs" / f"{runs[0].name}.log").read_text()
    assert _starts(tmp_path) == _trained(tmp_path) == 2


@pytest.mark.slow
def test_a_runner_that_is_killed_again_and_again_comes_to_the_end(template: Path, tmp_path: Path) -> None:
    tasks, random = [f"task{number}" for number in range(5)], Random(0)
    command = [sys.executable, RUNNER, tmp_path, template, "0.2", *tasks]
    kills, ended = 0, False
    while not ended:
        runner = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        starts = _starts(tmp_path)
        while runner.poll() is None and _starts(tmp_path) == starts:
            time.sleep(0.01)
        try:
            ended = runner.wait(random.uniform(0, 0.5)) == 0
        except subprocess.TimeoutExpired:
            runner.kill()
            kills += runner.wait() == -signal.SIGKILL
    assert kills >= 3
    assert _starts(tmp_path) == _trained(tmp_path) == 5


@pytest.mark.parametrize(
    ("file", "place", "said"),
    [
        ("summary.json", None, "summary.json can't be read"),
        ("exits/validation.safetensors", None, "validation.safetensors can't be read"),
        ("exits/validation.safetensors", -3, "it is not as it was written: its digest differs"),
    ],
)
def test_a_run_whose_results_are_damaged_is_trained_again(
    file: str,
    place: int | None,
    said: str,
    make_run: MakeRun,
    make_runner: MakeRunner,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run("CoLA")
    make_runner([run]).bring_to_end([run])
    damaged = run.folder.path / file
    content = bytearray(damaged.read_bytes())
    if place is None:
        del content[-30:]
    else:
        content[place] ^= 1
    damaged.write_bytes(content)
    again = make_run("CoLA")
    assert again.state is State.TO_DO
    assert said in str(again.reason)
    assert make_runner([again]).bring_to_end([again]) == []
    assert (run.examined().state, run.examined().reason) == (State.FINISHED, None)
    aside = run.folder.path.with_name("damaged_1")
    assert (aside / file).read_bytes() == content
    assert f"and it is run again: {again.reason}; it is now {aside}" in capsys.readouterr().out
    assert _trained(tmp_path) == 2


def test_a_run_that_was_never_validated_is_not_trained_again(
    make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path
) -> None:
    run = make_run("CoLA")
    make_runner([run]).bring_to_end([run])
    run.folder.finish()
    again = make_run("CoLA")
    assert again.state is State.BLOCKED
    assert "no checkpoint was kept at a validation" in str(again.reason)
    assert _trained(tmp_path) == 1


def test_a_run_of_a_kill_between_its_sweeps_goes_on(make_run: MakeRun, make_runner: MakeRunner) -> None:
    run = make_run("CoLA", **{"run.test": True})
    (failure,) = make_runner([run]).bring_to_end([run])  # the stand-in never sweeps the test split
    assert failure.reason == "it ended without figures"
    assert make_run("CoLA", **{"run.test": True}).state is State.TO_RESUME
    assert make_run("CoLA").state is State.FINISHED


def test_a_full_disk_fails_the_run_alone(make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path) -> None:
    runs = [make_run("CoLA"), make_run("RTE")]
    log = tmp_path / "logs" / f"{runs[0].name}.log"
    log.parent.mkdir()
    log.symlink_to("/dev/full")
    (failure,) = make_runner(runs).bring_to_end(runs)
    assert failure.run.title == runs[0].title
    assert failure.reason.startswith("No space left on device")
    assert runs[1].examined().state is State.FINISHED
    log.unlink()
    assert make_runner(runs).bring_to_end([make_run("CoLA"), make_run("RTE")]) == []


def test_a_run_that_was_deleted_is_run_again(make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path) -> None:
    run = make_run("CoLA")
    make_runner([run]).bring_to_end([run])
    shutil.rmtree(run.folder.path)
    again = make_run("CoLA")
    assert make_runner([again]).bring_to_end([again]) == []
    assert _trained(tmp_path) == 2


def test_a_folder_that_cannot_be_locked_is_named(make_run: MakeRun, make_runner: MakeRunner, tmp_path: Path) -> None:
    (tmp_path / "locks").touch()
    run = make_run("CoLA")
    with pytest.raises(RunFolderError, match=r"no run can be locked[\s\S]*locks"):
        make_runner([run]).bring_to_end([run])
