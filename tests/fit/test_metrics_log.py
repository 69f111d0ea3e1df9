import resource
from pathlib import Path

import pytest

from ee_lightning.errors import RunFolderError
from ee_lightning.fit.metrics_log import MetricsLog

ROWS = [{"loss": 0.1}, {"loss": 1 / 3}, {"score": 0.75}, {"loss": 1e-9, "score": 0.5}, {"area": 0.5}]


def logged(folder: Path, rows: list[dict[str, float]], *, first: int = 0, kept: int = 0) -> str:
    log = MetricsLog(folder, "run", "version_0")
    log.experiment.num_rows = kept
    for step, row in enumerate(rows, first):
        log.log_metrics(row, step)
        log.save()
    assert log.experiment.num_rows == kept + len(rows)
    return (folder / "run" / "version_0" / "metrics.csv").read_text()


def test_rows_have_sorted_columns_that_may_come_late(tmp_path: Path) -> None:
    assert logged(tmp_path, ROWS[:4]).splitlines() == [
        "loss,score,step",
        "0.1,,0",
        "0.3333333333333333,,1",
        ",0.75,2",
        "1e-09,0.5,3",
    ]


@pytest.mark.parametrize("done", range(1, len(ROWS) + 1))
@pytest.mark.parametrize("kept", range(len(ROWS)))
def test_a_run_that_goes_on_leaves_the_file_of_one_that_never_stopped(tmp_path: Path, done: int, kept: int) -> None:
    expected = logged(tmp_path / "whole", ROWS)
    kept = min(kept, done)
    logged(tmp_path, ROWS[:done])
    file = tmp_path / "run" / "version_0" / "metrics.csv"
    file.write_text(file.read_text() + "0.1,0")  # a row that was cut off
    if kept < len(ROWS):
        assert logged(tmp_path, ROWS[kept:], first=kept, kept=kept) == expected
    assert [path.name for path in file.parent.iterdir()] == ["metrics.csv"]


def test_rows_that_are_not_there_are_not_counted(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, "run", "version_0")
    log.experiment.num_rows = 7
    log.log_metrics({"loss": 0.5}, 7)
    log.save()
    assert log.experiment.num_rows == 1


def fill(log: MetricsLog) -> None:
    for step in range(100):
        log.log_metrics({"loss": 1 / (step + 3)}, step)
        log.save()


@pytest.mark.parametrize("full_at", range(5, 200, 13))
def test_a_full_disk_leaves_whole_rows_and_one_error(tmp_path: Path, full_at: int) -> None:
    log = MetricsLog(tmp_path, "run", "version_0")
    file = tmp_path / "run" / "version_0" / "metrics.csv"
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (full_at, most))
    try:
        with pytest.raises(RunFolderError, match=r"metrics\.csv can't be written: File too large"):
            fill(log)
        log.finalize("failed")  # as Lightning does after any error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    rows = [f"{1 / (step + 3)},{step}" for step in range(100)]
    expected = ["loss,step", *rows]
    written = file.read_text() if file.exists() else ""
    assert written.splitlines() == expected[: len(written.splitlines())]
    assert written == "" or written.endswith("\n")
    assert log.experiment.num_rows == max(0, len(written.splitlines()) - 1)


def test_a_damaged_file_of_a_run_that_goes_on_is_named(tmp_path: Path) -> None:
    logged(tmp_path, ROWS[:2])
    (tmp_path / "run" / "version_0" / "metrics.csv").write_bytes(b"\xff\xfe\0")
    with pytest.raises(RunFolderError, match=r"metrics.csv can't be read: [\s\S]*where: .*metrics.csv[\s\S]*hint:"):
        logged(tmp_path, ROWS[2:], first=2, kept=2)
