"""Whatever dies, real trainings of a suite are each done once, and no finished one is lost."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pandas as pd
import pytest
import yaml

from ee_lightning.runs.folder import RunFolder

pytestmark = pytest.mark.slow
COMMAND = Path(__file__).with_name("command.py")
FINISHED = "run folder: "
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def suite(tmp_path: Path, tiny_backbone: Path, glue_folder: Path) -> Path:
    """Return a suite of two trainings by two seeds, small as they are."""
    content = {
        "title": "Small",
        "seeds": [1, 2],
        "options": {
            "data.root": str(glue_folder),
            "data.max_length": 32,
            "data.batch_size": 8,
            "model.backbone": str(tiny_backbone),
            "trainer.max_epochs": 8,
            "trainer.accelerator": "cpu",
            "last_checkpoint.every_n_steps": 2,
        },
        "tasks": {"SST-2": {"options": {"data.task": "sst2"}}},
        "trainings": {
            "full": {
                "options": {
                    "model.objective": "ee_lightning.training.LastExitObjective",
                    "model.heads.exits": "last",
                    "model.num_layers": 1,
                    "sweep.criteria": [],
                }
            },
            "ours": {"options": {}},
        },
        "rows": [{"label": "Full", "training": "full"}, {"label": "Ours", "training": "ours", "criterion": "voting"}],
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture
def start(suite: Path, tmp_path: Path) -> Start:
    """Return a function that starts a runner on the suite."""

    def _start(*options: str, **others: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(COMMAND), str(suite), f"--root={tmp_path}", "--no-clock", *options]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, **others)  # type: ignore[call-overload]

    return _start


def _logs(root: Path) -> list[str]:
    return [log.read_text() for log in sorted((root / "logs").glob("*.log"))]


def _finished(root: Path) -> int:
    """Count the finished runs, whose exits are as they were written."""
    folders = [folder for path in (root / "runs").iterdir() if (folder := RunFolder(path / "version_0")).is_finished]
    return len([folder.read_exits("validation") for folder in folders])


def _trainings_at_work(root: Path) -> list[int]:
    """Find the processes that train in a folder."""
    marked = f"--run.root={root / 'runs'}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marked in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def _wait_for(root: Path, seconds: float) -> None:
    """Wait until a training is at work, and some more."""
    until = time.monotonic() + 600
    while not _trainings_at_work(root):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(seconds)


def _assert_each_trained_once(root: Path) -> None:
    assert _finished(root) == 4
    logs = _logs(root)
    assert len(logs) == 4
    assert [log.count(FINISHED) for log in logs] == [1] * 4
    assert not list(root.glob("runs/*/damaged_*"))


def test_runners_and_trainings_killed_at_random_lose_nothing(start: Start, tmp_path: Path) -> None:
    random, finished, kills = Random(1), 0, 0
    for number in range(6):
        runner = start()
        _wait_for(tmp_path, random.uniform(0, 12))
        if number % 2:
            for training in _trainings_at_work(tmp_path):
                os.kill(training, signal.SIGKILL)
                kills += 1
        runner.kill()
        runner.communicate()
        now = _finished(tmp_path)
        assert now >= finished
        finished = now
    last = start()
    printed, _ = last.communicate()
    assert last.returncode == 0, printed
    assert printed.endswith(f"\ntables: {tmp_path / 'tables' / 'mine'}\n")
    cells = pd.read_csv(tmp_path / "tables" / "mine" / "tables.csv")
    assert cells["seeds"].tolist() == [2] * 3  # Ours has no (b), for which no rows are held out
    assert kills > 0
    _assert_each_trained_once(tmp_path)


def test_two_runners_share_the_trainings(start: Start, tmp_path: Path) -> None:
    runners = [start(), start()]
    printed = [runner.communicate()[0] for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0], printed
    _assert_each_trained_once(tmp_path)
    assert [log.count("# ") for log in _logs(tmp_path)] == [1] * 4
    here, elsewhere = ("".join(printed).count(how) for how in (": finished in", ": finished by another runner"))
    assert (here, elsewhere >= 1) == (4, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_training_and_says_how_to_go_on(
    number: signal.Signals, start: Start, tmp_path: Path
) -> None:
    runner = start()
    _wait_for(tmp_path, 5)
    runner.send_signal(number)
    printed, _ = runner.communicate()
    assert runner.returncode == 130
    assert printed.endswith(
        f"this goes on from here: ee-lightning reproduce {tmp_path / 'mine.yaml'} --root={tmp_path} --no-clock\n"
    )
    assert "Traceback" not in printed
    assert _trainings_at_work(tmp_path) == []
    again = start()
    printed, _ = again.communicate()
    assert again.returncode == 0, printed
    _assert_each_trained_once(tmp_path)


def test_a_training_that_fails_stops_no_other(start: Start, suite: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(suite.read_text())
    content["trainings"]["ours"]["options"]["checkpoint.monitor"] = "val/nothing"
    suite.write_text(yaml.safe_dump(content))
    runner = start("--seeds=1")
    printed, _ = runner.communicate()
    assert runner.returncode == 1
    (log,) = (tmp_path / "logs").glob("SST-2-ours-1-*.log")
    assert "SST-2, ours, seed 1 failed: " in printed
    assert "val/nothing" in printed
    assert f"\n  log: {log}\n" in printed
    assert printed.rstrip().splitlines()[-2] == "error: of 2 trainings 1 failed, and 0 can't be run"
    assert set(pd.read_csv(tmp_path / "tables" / "mine" / "tables.csv")["row"]) == {"Full"}


def test_a_disk_too_full_for_one_training_is_told_and_harms_no_other(start: Start, tmp_path: Path) -> None:
    def allow_small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    runner = start("--seeds=1", preexec_fn=allow_small_files)
    printed, _ = runner.communicate()
    assert runner.returncode == 1
    assert "SST-2, full, seed 1: finished in" in printed
    assert "SST-2, ours, seed 1 failed: " in printed
    assert "can't be written: File too large" in printed
    again = start("--seeds=1")
    printed, _ = again.communicate()
    assert again.returncode == 0, printed
    assert "2 trainings for 2 rows: 1 finished, 1 to resume" in printed
