"""A run's folder tells in what condition it is."""

import shutil
import zipfile
from pathlib import Path

import pytest

from ee_lightning.reporting import RunFolder
from ee_lightning.reproduce.condition import State, examine


@pytest.fixture
def finished(template: Path, tmp_path: Path) -> RunFolder:
    """Give a finished run."""
    return RunFolder(shutil.copytree(template, tmp_path / "run" / "version_0"))


@pytest.fixture
def interrupted(tmp_path: Path) -> RunFolder:
    """Give a run that was interrupted."""
    folder = RunFolder(tmp_path / "run" / "version_0")
    folder.checkpoints.mkdir(parents=True)
    folder.config.write_text("run: {}\n")
    with zipfile.ZipFile(folder.last_checkpoint, "w") as archive:
        archive.writestr("step", "1")
    return folder


def test_a_whole_folder_is_finished(finished: RunFolder) -> None:
    assert examine(finished) == (State.FINISHED, None)


def test_a_folder_that_is_not_there_is_to_do(tmp_path: Path) -> None:
    assert examine(RunFolder(tmp_path / "run" / "version_0")) == (State.TO_DO, None)


@pytest.mark.parametrize("name", ["summary.json", "exits/validation.safetensors", "curves.csv"])
@pytest.mark.parametrize("rest", [0, 40])
def test_a_finished_folder_with_a_damaged_file_is_to_do_again(name: str, rest: int, finished: RunFolder) -> None:
    file = finished.path / name
    file.write_bytes(file.read_bytes()[:rest])
    state, damage = examine(finished)
    assert state is State.TO_DO
    assert damage is not None
    file.unlink()
    assert (examine(finished)[1] is None) == (name == "summary.json")


def test_a_finished_run_whose_test_split_was_not_swept_is_to_do_again(finished: RunFolder) -> None:
    finished.config.write_text("run: {test: true}\n")
    assert examine(finished) == (State.TO_DO, "the test split was not swept")
    finished.config.write_text("run: {test: false}\n")
    assert examine(finished) == (State.FINISHED, None)


def test_an_interrupted_run_goes_on_unless_it_is_damaged(interrupted: RunFolder) -> None:
    assert examine(interrupted) == (State.TO_RESUME, None)
    checkpoint = interrupted.last_checkpoint.read_bytes()
    interrupted.last_checkpoint.write_bytes(checkpoint[: len(checkpoint) // 2])
    assert examine(interrupted) == (State.TO_DO, "last.ckpt is cut off, or no checkpoint")
    interrupted.last_checkpoint.unlink()
    assert examine(interrupted) == (State.TO_RESUME, None)  # from its first step


@pytest.mark.parametrize("content", ["", "run: [", None])
def test_a_run_whose_options_are_lost_is_to_do_again(content: str | None, interrupted: RunFolder) -> None:
    if content is None:
        interrupted.config.unlink()
    else:
        interrupted.config.write_text(content)
    state, damage = examine(interrupted)
    assert state is State.TO_DO
    assert str(damage).startswith("config.yaml can't be read")
