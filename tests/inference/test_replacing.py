"""A model that is saved over another: after a kill or on a full disk one of the two is there, and whole."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ee_lightning.errors import RunFolderError
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.inference.together import current, written_together

FIXTURES = Path(__file__).parents[1] / "fixtures"
TEXTS = ["a lovely film", "the dull plot was very boring"]
NEW = {"a": "new", "b": "new"}


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in current(folder).iterdir() if file.is_file() and file.suffix == ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "ab":
        (tmp_path / name).write_text("old")
    return tmp_path


def write(folder: Path) -> None:
    with written_together(folder) as unfinished:
        for name, text in NEW.items():
            (unfinished / name).write_text(text)


CALLS = ["rename", "hardlink_to", "replace"]


@pytest.mark.parametrize(("call", "number"), [(call, number) for call in CALLS for number in range(3)])
def test_a_kill_between_two_steps_leaves_the_old_or_the_new_files(call: str, number: int, folder: Path) -> None:
    child = os.fork()
    if child == 0:  # the child ends before its call of that number, as by a kill
        method, left = getattr(Path, call), iter(range(number))
        setattr(Path, call, lambda *args: method(*args) if next(left, None) is not None else os._exit(0))
        write(folder)
        os._exit(0)
    os.waitpid(child, 0)
    assert content(folder) in ({"a": "old", "b": "old"}, NEW)
    write(folder)
    assert content(folder) == NEW
    assert {path.name for path in folder.iterdir()} == {"a", "b"}


def test_an_error_in_between_leaves_the_old_files_alone(folder: Path) -> None:
    with (
        pytest.raises(RunFolderError, match=r"can't be written: Is a directory[\s\S]*where: "),
        written_together(folder) as unfinished,
    ):
        unfinished.write_text("a folder is no file")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "old", "b": "old"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(mounted)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_on_a_full_disk_the_old_model_stays(small_disk: Path) -> None:
    old = shutil.copytree(FIXTURES / "saved_model_0.1.0", small_disk / "model")
    before = sorted(path.name for path in old.iterdir())
    predictor = EarlyExitPredictor.from_pretrained(old, device="cpu")
    (small_disk / "filler").write_bytes(bytes(30_000))
    with pytest.raises(RunFolderError, match=r"can't be written: .*No space left"):
        predictor.save_pretrained(old)
    assert sorted(path.name for path in old.iterdir()) == before
    assert EarlyExitPredictor.from_pretrained(old, device="cpu")(TEXTS) == predictor(TEXTS)


@pytest.fixture(scope="module")
def two() -> list[EarlyExitPredictor]:
    """Return two models that answer differently."""
    models = [EarlyExitPredictor.from_pretrained(FIXTURES / "saved_model_0.1.0", device="cpu") for _ in range(2)]
    for parameter in models[1].model.parameters():
        parameter.data.mul_(-1)
    return models


def saving_forever(models: list[EarlyExitPredictor], folder: Path, pause: float) -> int:
    """Start a process that saves one after the other until it is killed, and return its number."""
    child = os.fork()
    if child == 0:
        while True:
            for model in models:
                model.save_pretrained(folder)
                time.sleep(pause)
    return child


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_one_of_two_models(two: list[EarlyExitPredictor], tmp_path: Path) -> None:
    expected = [model(TEXTS) for model in two]
    two[0].save_pretrained(tmp_path / "model")
    for attempt in range(12):
        child = saving_forever(two, tmp_path / "model", pause=0)
        time.sleep(0.1 + attempt * 0.0137)
        kill(child)
        assert EarlyExitPredictor.from_pretrained(tmp_path / "model", device="cpu")(TEXTS) in expected
    two[0].save_pretrained(tmp_path / "model")
    assert len(list((tmp_path / "model").iterdir())) == 5


@pytest.mark.slow
def test_a_reader_gets_one_of_two_models(two: list[EarlyExitPredictor], tmp_path: Path) -> None:
    expected = [model(TEXTS) for model in two]
    two[0].save_pretrained(tmp_path / "model")
    child = saving_forever(two, tmp_path / "model", pause=0.3)
    try:
        for _ in range(30):
            assert EarlyExitPredictor.from_pretrained(tmp_path / "model", device="cpu")(TEXTS) in expected
    finally:
        kill(child)
