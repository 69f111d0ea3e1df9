"""One training at a time in a run folder, and no lock outlives its process."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from forked import Command
from killed import hold_and_fork

from ee_lightning.errors import RunFolderError
from ee_lightning.fit.earlier_runs import locked_folder
from ee_lightning.fit.metrics_log import MetricsLog
from ee_lightning.runs.folder import RunFolder


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
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    holder = Command(before=partial(hold_and_fork, tmp_path / "run"))
    while not (holder.log.exists() and holder.printed.endswith("\n")):
        assert holder.is_alive()
        time.sleep(0.01)
    child = int(holder.printed)
    try:
        with pytest.raises(RunFolderError, match="still training"):
            locked_folder(folder).__enter__()
        holder.kill()
        assert holder.ends() == -signal.SIGKILL
        os.kill(child, 0)  # it is there
        with locked_folder(folder):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"can't be locked: Not a directory[\s\S]*file/version_0[\s\S]*--run.root"):
        locked_folder(RunFolder(tmp_path / "file" / "version_0")).__enter__()


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_a_run_that_starts_together_with_another_gets_a_folder_of_its_own(
    command: str, run: Callable[..., int], small: dict[str, object], shared_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_other = Path("runs/run/version_0")
    of_the_other.mkdir(parents=True)
    seen = iter([0, 1])  # as both saw it, and as it is
    monkeypatch.setattr(MetricsLog, "_get_next_version", lambda _: next(seen))
    checkpoint = {} if command == "fit" else {"ckpt_path": shared_run / "checkpoints" / "last.ckpt", "run.root": "runs"}
    assert run(command, **small, **checkpoint) == 0
    assert RunFolder("runs/run/version_1").is_finished
    assert not list(of_the_other.iterdir())
