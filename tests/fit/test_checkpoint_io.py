import resource
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from ee_lightning.errors import RunFolderError
from ee_lightning.fit.checkpoints import WholeCheckpointIO
from ee_lightning.runs.folder import RunFolder


def test_a_checkpoint_is_written_beside_its_place_and_to_the_disk_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, seen = tmp_path / "checkpoints" / "last.ckpt", []

    def fsync(descriptor: int) -> None:
        (unfinished,) = place.parent.glob(".last.ckpt.*")
        seen.append((place.exists(), torch.load(unfinished)["step"]))

    monkeypatch.setattr("os.fsync", fsync)
    for step in (1, 2):
        WholeCheckpointIO().save_checkpoint({"step": step}, place)
    assert seen == [(False, 1), (True, 2)]
    assert WholeCheckpointIO().load_checkpoint(place) == {"step": 2}
    assert [file.name for file in place.parent.iterdir()] == ["last.ckpt"]


def test_one_that_breaks_off_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "last.ckpt"
    WholeCheckpointIO().save_checkpoint({"step": 1}, place)

    def write_some(checkpoint: Any, file: Any) -> None:
        file.write(b"PK")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", write_some)
    with pytest.raises(RunFolderError, match=r"last.ckpt can't be written: no space left"):
        WholeCheckpointIO().save_checkpoint({"step": 2}, place)
    assert WholeCheckpointIO().load_checkpoint(place) == {"step": 1}


def test_an_interrupt_while_it_is_written_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, save = tmp_path / "last.ckpt", torch.save
    WholeCheckpointIO().save_checkpoint({"step": 1}, place)

    class Interrupted:
        def __init__(self, file: BinaryIO) -> None:
            self._file = file

        def write(self, data: memoryview) -> int:
            if len(data) > 1000:
                raise KeyboardInterrupt
            return self._file.write(data)

    monkeypatch.setattr(torch, "save", lambda checkpoint, file: save(checkpoint, Interrupted(file)))
    with pytest.raises(KeyboardInterrupt):
        WholeCheckpointIO().save_checkpoint({"weights": torch.zeros(10_000)}, place)
    assert WholeCheckpointIO().load_checkpoint(place) == {"step": 1}


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_summary("validation", {"samples": 1})
    folder.checkpoints.mkdir()
    for name in (".summary.json.17.unfinished", "checkpoints/.last.ckpt.17.unfinished", ".hidden"):
        (tmp_path / name).touch()
    folder.clear_unfinished()
    assert {file.name for file in tmp_path.rglob("*")} == {"summary.json", "checkpoints", ".hidden"}


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path) -> None:
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    WholeCheckpointIO().save_checkpoint({"step": 1}, tmp_path / "last.ckpt")
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(RunFolderError, match=r"last\.ckpt can't be written: File too large"):
            WholeCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, tmp_path / "last.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert WholeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt") == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
