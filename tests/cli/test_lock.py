"""One training at a time in a run folder, and no lock outlives its process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ee_lightning.errors import RunFolderError
from ee_lightning.fit.metrics_log import MetricsLog
from ee_lightning.fit.resume import locked_folder
from ee_lightning.runs.folder import RunFolder

HOLD_AND_FORK = """
import os, sys, time
from ee_lightning.fit.resume import locked_folder
from ee_lightning.runs import RunFolder

with locked_folder(RunFolder(sys.argv[1])):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


def test_the_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "version_0")
    for _ in range(2):
        with locked_folder(folder):
            assert [file.name for file in folder.path.iterdir()] == [".lock"]
            with pytest.raises(RunFolderError, match=r"another process is still training[\s\S]*new/version_0"):
                locked_folder(folder).__enter__()
        assert not folder.path.exists()
    folder.checkpoints.mkdir(parents=True)
    with locked_folder(folder):
        pass
    assert list(folder.path.iterdir()) == [folder.checkpoints]


def test_a_killed_process_holds_no_lock_though_one_that_it_forked_lives_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD_AND_FORK, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(RunFolderError, match="still training"):
            locked_folder(folder).__enter__()
        holder.kill()
        holder.wait()
        os.kill(child, 0)  # it is there
        with locked_folder(folder):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"can't be locked: Not a directory[\s\S]*file/version_0[\s\S]*--run.root"):
        locked_folder(RunFolder(tmp_path / "file" / "version_0")).__enter__()


def test_a_run_that_starts_together_with_another_gets_a_folder_of_its_own(
    run: Callable[..., int], small: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_other = Path("runs/run/version_0")
    of_the_other.mkdir(parents=True)
    seen = iter([0, 1])  # as both saw it, and as it is
    monkeypatch.setattr(MetricsLog, "_get_next_version", lambda _: next(seen))
    assert run("fit", **small) == 0
    assert RunFolder("runs/run/version_1").is_finished
    assert not list(of_the_other.iterdir())
