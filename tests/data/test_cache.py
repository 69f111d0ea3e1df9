import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import datasets
import pytest
from datasets import Dataset

from ee_lightning.data.cache import ROWS_WORTH_A_PROGRESS_BAR, cached, quiet_progress
from ee_lightning.errors import DataError


class Builder:
    """Make a small data set and count how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return Dataset.from_dict({"id": list(range(500)), "tokens": [[row] * (row % 7) for row in range(500)]})


@pytest.fixture
def build():
    return Builder()


def test_it_builds_once_and_reads_from_the_disk_afterwards(build, cache_folder):
    first, second = cached("key", build), cached("key", build)
    assert build.calls == 1
    assert first.to_dict() == second.to_dict() == build().to_dict()
    assert all(str(cache_folder) in file["filename"] for file in (*first.cache_files, *second.cache_files))


def test_another_key_is_another_entry(build):
    cached("one", build)
    cached("two", build)
    assert build.calls == 2


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _empty(path):
    path.write_bytes(b"")


def test_a_damaged_entry_is_built_anew(build, cache_folder, caplog):
    cached("key", build)
    for file in ("data-00000-of-00001.arrow", "state.json", "dataset_info.json", "sha256"):
        for number, damage in enumerate((_truncate, _flip_a_byte, os.unlink, _empty)):
            caplog.clear()
            build.calls = 0
            damage(cache_folder / "key" / file)
            with caplog.at_level(logging.WARNING, "ee_lightning"):
                rows = cached("key", build)
            assert "damaged" in caplog.text, (file, number)
            assert rows[:] == build()[:]
            assert cached("key", build)[499]["id"] == 499
            assert build.calls == 2, (file, number)  # once by the cache, once here


def test_what_a_killed_process_left_behind_does_no_harm(build, cache_folder):
    (cache_folder / "key.unfinished").mkdir(parents=True)
    (cache_folder / "key.unfinished" / "state.json").write_text("half")
    assert cached("key", build)[499]["id"] == 499
    assert sorted(path.name for path in cache_folder.iterdir() if path.is_dir()) == ["key"]


def test_a_build_that_fails_leaves_no_entry(build, cache_folder):
    def fail():
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        cached("key", fail)
    assert not (cache_folder / "key").exists()
    cached("key", build)
    assert build.calls == 1


def test_threads_at_once_build_once_and_agree(build):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: cached("key", build), range(8)))
    assert all(len(result) == 500 for result in results)
    assert build.calls == 1


@pytest.mark.slow
def test_processes_at_once_build_once_and_agree(cache_folder, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from datasets import Dataset\n"
        "from ee_lightning.data.cache import cached\n"
        "def build():\n"
        "    with Path(sys.argv[1]).open('a') as file: file.write('built ')\n"
        "    time.sleep(1)\n"
        "    return Dataset.from_dict({'id': list(range(100))})\n"
        "me, other = Path(sys.argv[2]), Path(sys.argv[3])\n"
        "me.touch()\n"
        "while not other.exists(): time.sleep(0.01)\n"
        "print(sum(cached('key', build)['id']))\n"
    )
    log, one, two = tmp_path / "log", tmp_path / "one", tmp_path / "two"
    workers = [
        subprocess.Popen([sys.executable, script, log, *pair], stdout=subprocess.PIPE, text=True)
        for pair in ((one, two), (two, one))
    ]
    assert [worker.communicate(timeout=240)[0] for worker in workers] == ["4950\n", "4950\n"]
    assert log.read_text() == "built "


def test_a_folder_that_cannot_be_written_to_is_an_error_of_the_user(build, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EE_LIGHTNING_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="can't be used") as caught:
        cached("key", build)
    assert "EE_LIGHTNING_CACHE" in caught.value.hint


def test_a_full_disk_is_told_and_harms_nothing(build, cache_folder, full_disk):
    with full_disk(), pytest.raises(DataError, match=r"the cache can't be used: .*File too large") as caught:
        cached("key", build)
    assert caught.value.where == cache_folder
    assert len(cached("key", build)) == 500


def test_without_the_variable_it_lies_in_the_home_folder(build, tmp_path, monkeypatch):
    monkeypatch.delenv("EE_LIGHTNING_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    cached("key", build)
    assert (tmp_path / ".cache" / "ee_lightning" / "key").is_dir()


@pytest.mark.parametrize(("rows", "hidden"), [(10, True), (ROWS_WORTH_A_PROGRESS_BAR, False)])
def test_progress_bars_are_hidden_for_small_jobs_and_come_back(rows, hidden):
    datasets.enable_progress_bars()
    with quiet_progress(rows):
        assert datasets.are_progress_bars_disabled() is hidden
    assert not datasets.are_progress_bars_disabled()


def test_progress_bars_that_the_user_hid_stay_hidden():
    datasets.disable_progress_bars()
    with quiet_progress(10):
        pass
    assert datasets.are_progress_bars_disabled()
    datasets.enable_progress_bars()
