"""Terminals and file systems that take nothing, or not everything."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from refusal import check_refused
from summaries import figures

from ee_lightning.cli import main
from ee_lightning.cli.streams import check_output, lasting, prepare_streams
from ee_lightning.errors import EarlyExitError, RunFolderError
from ee_lightning.exits import StoredExits
from ee_lightning.fit.earlier_runs import locked_folder
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import OPERATING_POINT

COMMAND = f"{sys.executable} -m ee_lightning"


def in_shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )


def test_a_full_disk_behind_standard_output_is_told_once() -> None:
    ended = in_shell(f"{COMMAND} --version > /dev/full")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: standard output can't be written: No space left on device")
    assert ended.stderr.count("error") == 1
    assert "Exception ignored" not in ended.stderr


@pytest.mark.parametrize(
    "line",
    [
        f"{COMMAND} --help | true; exit ${{PIPESTATUS[0]}}",
        f"{COMMAND} --help >&-",
        f"{COMMAND} --help >&- 2>&-",
        f"{COMMAND} --help >&- 2>&- <&-",
    ],
)
def test_output_that_nobody_reads_is_no_error(line: str) -> None:
    ended = in_shell(line)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("where", ["2>&-", "2> /dev/full", "2>&1 | true; exit ${PIPESTATUS[0]}"])
def test_an_error_that_nobody_reads_keeps_its_status(where: str) -> None:
    ended = in_shell(f"{COMMAND} nonsense {where}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "")


def test_the_number_of_a_closed_stream_is_not_that_of_a_file() -> None:
    code = (
        "from ee_lightning.cli.streams import prepare_streams; import os; prepare_streams();"
        "open('file', 'wb'); os.write(1, b'from below')"
    )
    assert in_shell(f'{sys.executable} -c "{code}" >&-').returncode == 0
    assert Path("file").read_bytes() == b""


def test_a_working_folder_that_is_gone_is_told() -> None:
    ended = in_shell(f"mkdir gone && cd gone && rmdir ../gone && {COMMAND} curves run")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: the working folder can't be used: No such file or directory")
    assert "cd" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_can_not_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        stream = lasting(full)
        monkeypatch.setattr(sys, "stdout", stream)
        for _ in range(3):
            print("lost" * 10_000)
        with pytest.raises(EarlyExitError, match="standard output can't be written: No space left on device"):
            check_output()


def test_a_terminal_of_few_characters_gets_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    prepare_streams()
    print("2× ≥ −1 ± 3 → … größe")
    sys.stdout.flush()
    assert written.getvalue() == b"2x >= -1 +- 3 -> ... gr\\xf6\\xdfe\n"


def test_files_are_utf8_whatever_the_terminal_is() -> None:
    Path("file").write_text("größe", encoding="utf-8")
    code = (
        "from ee_lightning.cli.streams import prepare_streams; prepare_streams(); text = open('file').read();"
        "print(len(text), text)"
    )
    ended = in_shell(f'{sys.executable} -c "{code}"', PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C")
    assert (ended.stderr, ended.stdout) == ("", "5 gr\\xf6\\xdfe\n")


@pytest.fixture
def stored() -> RunFolder:
    """Return a run folder with stored exits, in the working folder, which everyone may read."""
    Path().chmod(0o755)
    folder = RunFolder("größe")
    logits = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
    folder.write_exits("validation", StoredExits(logits=logits, labels=torch.arange(40) % 2, ids=torch.arange(40)))
    folder.write_summary("validation", figures(task="größe"))
    return folder


def test_tables_fit_an_ascii_terminal(stored: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert main(["curves", str(stored.path)]) == 0
    sys.stdout.flush()
    printed = sys.stdout.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "gr\\xf6\\xdfe validation: 40 samples" in printed
    assert "+---" in printed


def test_no_command_writes_through_the_links_of_a_run_folder(stored: RunFolder) -> None:
    assert main(["curves", str(stored.path)]) == 0
    assert main(["choose", str(stored.path), "--criterion=voting", "--min-speedup=1.1"]) == 0
    Path("mine").mkdir()
    files = [file for file in stored.path.iterdir() if file.is_file()]
    assert {"curves.csv", "curves.png", "summary.json", OPERATING_POINT} <= {file.name for file in files}
    for file in files:
        target = Path("mine", file.name).resolve()
        file.rename(target)
        file.symlink_to(target)
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in Path("mine").iterdir()}
    assert main(["curves", str(stored.path), "--criteria=voting(k=0.5)"]) == 0
    assert main(["choose", str(stored.path), "--criterion=voting", "--min-speedup=1.2"]) == 0
    assert not (stored.path / "curves.csv").is_symlink()
    assert not (stored.path / OPERATING_POINT).is_symlink()
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in Path("mine").iterdir()} == before


def test_a_lock_is_not_taken_through_a_link(stored: RunFolder) -> None:
    Path("mine").write_text("mine")
    stored.lock.symlink_to(Path("mine").resolve())
    with pytest.raises(RunFolderError, match="can't be locked"), locked_folder(stored):
        pass
    assert Path("mine").read_text() == "mine"


@pytest.mark.parametrize("closed", [".", "exits"])
def test_a_run_folder_that_may_not_be_read_is_told(
    closed: str, stored: RunFolder, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    place = stored.path / closed
    place.chmod(0)
    request.addfinalizer(lambda: place.chmod(0o755))
    request.getfixturevalue("no_rights")
    for command in (["curves", str(stored.path)], ["choose", str(stored.path), "--criterion=voting", "--max-loss=1"]):
        status = main(command)
        printed = capfd.readouterr()
        assert status == 1
        assert printed.err.count("error: ") == 1
        assert "Permission denied" in printed.err
        assert str(place) in printed.err
        assert "get the permission" in printed.err
        assert "Traceback" not in printed.err


def test_runs_that_may_not_be_read_are_not_left_out_in_silence(
    stored: RunFolder, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    (stored.path / "checkpoints").mkdir()
    stored.config.touch()
    stored.path.chmod(0)
    request.addfinalizer(lambda: stored.path.chmod(0o755))
    request.getfixturevalue("no_rights")
    check_refused(main(["tables", "."]), "error: Permission denied\n  where: größe|where: ./größe", capfd)


@pytest.mark.parametrize(
    "command",
    [
        ["curves", "{}"],
        ["choose", "{}", "--criterion=voting", "--max-loss=1"],
        ["predict", "{}", "--input={}.csv", "--output=o.csv"],
        ["predict", "{}"],
        ["speed", "{}"],
        ["submit", "{}", "--output=o"],
        ["tables", "{}"],
        ["reproduce", "{}"],
        ["validate", "--config={}"],
    ],
    ids=" ".join,
)
def test_a_name_that_is_too_long_is_told(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    check_refused(
        main([part.format("x" * 300) for part in command]), r"name too long|does not exist|there is no file", capfd
    )
