"""What a training prints as it goes, in a terminal and in a pipe."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

AT_ONCE = """
import sys
from ee_lightning.cli import main
from ee_lightning.fit import progress
progress._SECONDS = 0
sys.exit(main())
"""


@pytest.fixture
def options(tiny_backbone: Path, glue_folder: Path) -> list[str]:
    return [
        *("fit", "--data.task=sst2", f"--data.root={glue_folder}", f"--model.backbone={tiny_backbone}"),
        *("--data.max_length=32", "--trainer.max_epochs=2", "--trainer.accelerator=cpu"),
    ]


def in_terminal(arguments: list[str], folder: Path) -> str:
    """Run the command in a terminal of 80 columns, and return what is left to read there."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    command = [sys.executable, "-m", "ee_lightning", *arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, cwd=folder, env=variables)
    os.close(theirs)
    printed = b""
    while True:
        try:
            printed += os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
    assert process.wait() == 0, printed.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode()).replace("\r\n", "\n")


def test_a_training_in_a_terminal_has_a_bar_a_line_an_epoch_and_80_columns(options: list[str], tmp_path: Path) -> None:
    lines = [part for line in in_terminal(options, tmp_path).split("\n") for part in line.split("\r")]
    assert max(map(len, lines)) <= 80
    printed = "\n".join(lines)
    assert "Epoch 1/2 " in printed
    assert "Epoch 2/2 " in printed
    assert "Epoch 0" not in printed
    assert [line[:7] for line in lines if line.startswith("epoch ")] == ["epoch 1", "epoch 2"]
    for noise in ("v_num", "TPU available", "Restoring states", "`Trainer.fit` stopped", "site-packages"):
        assert noise not in printed
    assert "warning: The number of training batches" in printed


def test_a_training_in_a_pipe_has_no_bar(options: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", AT_ONCE, *options]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    printed = ended.stdout.splitlines()
    assert not re.search("[━╸╺]{2}", ended.stdout.split("accuracy (%)")[0])
    assert any(re.fullmatch(r"epoch 1: batch \d+ of \d+(, train/loss \d\.\d{4})?", line) for line in printed)
    assert any(re.fullmatch(r"validation: batch \d+", line) for line in printed)
    assert [line[:8] for line in printed if "val/score" in line] == ["epoch 1:", "epoch 2:"]
    assert "available: False" not in ended.stderr
