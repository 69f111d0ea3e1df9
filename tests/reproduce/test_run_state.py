"""A run's folder tells in what condition it is."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from ee_lightning.reproduce.run_state import DIGESTS, State, examine, forget_digests, write_digests
from ee_lightning.runs.folder import RunFolder


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
    assert examine(interrupted) == (State.TO_DO, "last.ckpt is damaged, or no checkpoint")
    interrupted.last_checkpoint.unlink()
    assert examine(interrupted) == (State.TO_RESUME, None)  # from its first step


def test_a_checkpoint_with_zeros_in_its_middle_is_not_gone_on_with(interrupted: RunFolder) -> None:
    with zipfile.ZipFile(interrupted.last_checkpoint, "w") as archive:
        archive.writestr("weights", bytes(range(1, 256)) * 40)
    content = bytearray(interrupted.last_checkpoint.read_bytes())
    content[4096:8192] = bytes(4096)
    interrupted.last_checkpoint.write_bytes(content)
    assert examine(interrupted) == (State.TO_DO, "last.ckpt is damaged, or no checkpoint")


@pytest.mark.parametrize("figures", [{}, {"metrics": []}, {"metrics": ["accuracy"]}, []])
def test_a_summary_without_figures_is_no_end(figures: object, finished: RunFolder) -> None:
    summary = json.loads((finished.path / "summary.json").read_text())
    (finished.path / "summary.json").write_text(json.dumps({**summary, "validation": figures}))
    state, damage = examine(finished)
    assert state is State.TO_DO
    assert str(damage).startswith("summary.json can't be read: ")


@pytest.mark.parametrize("criterion", ["voting", "oracle", "fixed"])
def test_curves_have_to_be_whole(criterion: str, finished: RunFolder) -> None:
    file = finished.path / "curves.csv"
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if f",{criterion}," not in line]
    assert len(kept) < len(lines)
    file.write_text("".join(kept))
    assert examine(finished) == (State.TO_DO, "curves.csv is cut off")
    file.write_text("".join(lines[:-1]))
    assert examine(finished) == (State.TO_DO, "curves.csv is cut off")


def test_the_rows_held_out_have_to_be_there_where_some_were(finished: RunFolder) -> None:
    finished.config.write_text("data: {calibration: 20}\n")
    assert examine(finished) == (State.TO_DO, "the exits of the rows held out are not there")
    finished.write_exits("calibration", finished.read_exits("validation"))
    assert examine(finished) == (State.FINISHED, None)


@pytest.mark.parametrize("name", ["exits/validation.safetensors", "curves.csv", "summary.json", "config.yaml"])
def test_a_file_that_reads_through_but_is_another_is_damage(name: str, finished: RunFolder) -> None:
    finished.config.write_text("run: {}\n# remark 1\n")
    write_digests(finished)
    assert examine(finished) == (State.FINISHED, None)
    file = finished.path / name
    content = bytearray(file.read_bytes())
    content[-3 if name.startswith("exits") else max(content.rfind(digit) for digit in b"0123456789")] ^= 1
    file.write_bytes(content)
    assert examine(finished) == (State.TO_DO, f"{name} is not as it was when the run was finished")
    (finished.path.parent / DIGESTS).write_text("{")
    assert examine(finished)[1] != f"{name} is not as it was when the run was finished"
    forget_digests(finished)
    assert not (finished.path.parent / DIGESTS).exists()


@pytest.mark.parametrize("content", ["", "run: [", None])
def test_a_run_whose_options_are_lost_is_to_do_again(content: str | None, interrupted: RunFolder) -> None:
    if content is None:
        interrupted.config.unlink()
    else:
        interrupted.config.write_text(content)
    state, damage = examine(interrupted)
    assert state is State.TO_DO
    assert str(damage).startswith("config.yaml can't be read")
