"""What takes the sweeps of a run: its folder, any logger, the terminal."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from ee_lightning.analysis.sweep import Sweep, sweep_exits
from ee_lightning.exits import StoredExits, Voting
from ee_lightning.fit.sweep_callback import LoggerSink
from ee_lightning.reporting import FolderSink, Terminal
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import RunFolder


@pytest.fixture
def found() -> Sweep:
    """Return the sweep of an evaluation, with its speed in batches of 32 and of 8."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 60, 2, generator=generator)
    exits = StoredExits(logits, logits[-1].argmax(-1), torch.arange(60))
    swept = sweep_exits([Voting()], exits, exits, split="validation", task="own", metrics=["accuracy"])
    figures = dict.fromkeys(MeasuredSpeed.__annotations__, 1.5) | {"criterion": "voting"}
    figures |= dict.fromkeys(("schedule", "device", "precision", "torch"), "x")
    figures |= dict.fromkeys(("full_batch_size", "full_layers", "samples", "threads"), 3)
    measured = [
        MeasuredSpeed(
            **figures | {"threshold": threshold, "batch_size": size, "wall_speedup_high": 9, "wall_speedup": at}
        )
        for threshold in dict.fromkeys(swept.near_named_speedups().values())
        for size, at in (("32", 2.5), ("8", 1.75))
    ]
    return replace(swept, exit_scores={"accuracy": [0.5, 0.6, 0.7, 1.0]}, measured=measured, step=7)


def test_after_an_epoch_the_folder_takes_the_scores_of_the_exits_alone(found: Sweep, tmp_path: Path) -> None:
    FolderSink(RunFolder(tmp_path)).take_sweep(replace(found, epoch=2))
    assert [file.name for file in tmp_path.iterdir()] == ["exit_scores.csv"]
    scores = pd.read_csv(tmp_path / "exit_scores.csv")
    assert scores["epoch"].tolist() == [2] * 4
    assert scores["accuracy"].tolist() == [0.5, 0.6, 0.7, 1.0]


def test_after_an_evaluation_the_folder_takes_all(found: Sweep, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    FolderSink(folder).take_sweep(found)
    assert folder.read_exits("validation").ids.tolist() == list(range(60))
    assert folder.read_calibration() is not None
    assert folder.read_speed()["validation"] == found.measured
    assert folder.read_figures("validation") == found.summary
    assert {file.name for file in tmp_path.glob("*.png")} == {"curves.png", "speed.png"}


def test_a_logger_takes_all_figures_of_an_evaluation_in_one_row(found: Sweep, tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    LoggerSink(logger).take_sweep(replace(found, epoch=0))
    LoggerSink(logger).take_sweep(found)
    logger.save()
    row = pd.read_csv(Path(logger.log_dir) / "metrics.csv").iloc[0]
    assert row["step"] == 7
    assert row["val/full_model/score"] == found.summary["full_model"]["accuracy"]
    assert row["val/overthinking"] == pytest.approx(found.diagnostics["overthinking"])
    assert [row[f"val/voting/wall_speedup_at_{at}x"] for at in ("1.5", "2", "3")] == [2.5] * 3


def test_the_terminal_shows_evaluations_when_it_is_told_to(
    found: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    terminal.take_sweep(replace(found, epoch=0))
    terminal.take_sweep(replace(found, split="test", measured=()))
    assert capsys.readouterr().out == ""
    terminal.show(RunFolder(tmp_path))
    printed = capsys.readouterr().out
    assert "own test: 60 samples" in printed
    assert "validation" not in printed
    assert "on the clock" not in printed
