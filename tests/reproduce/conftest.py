"""Runs of a suite, with a stand-in for their training."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from ee_lightning.exits import StoredExits, Voting
from ee_lightning.reporting import RunFolder, sweep_exits, write_sweep
from ee_lightning.reproduce.condition import examine
from ee_lightning.reproduce.planned import Identity, PlannedRun
from ee_lightning.reproduce.progress import SuiteProgress
from ee_lightning.reproduce.runner import Runner
from ee_lightning.reproduce.suite import FitOptions, Training

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
MakeRun = Callable[..., PlannedRun]
MakeRunner = Callable[..., Runner]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a finished run folder, without checkpoints."""
    folder = RunFolder(tmp_path_factory.mktemp("template"))
    torch.manual_seed(0)
    exits = StoredExits(torch.randn(3, 20, 2), torch.randint(2, (20,)), torch.arange(20))
    folder.write_exits("validation", exits)
    found = sweep_exits([Voting()], exits, None, task="sst2", metrics=["accuracy"], checkpoint=None)
    write_sweep(folder, "validation", found)
    return folder.path


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Give a function that plans a run of the stand-in."""

    def _make(task: str, **options: object) -> PlannedRun:
        training = Training(task, "full", 1, FitOptions(options=options))
        folder = RunFolder(tmp_path / "runs" / f"{task}-full-1-0" / "version_0")
        state, damage = examine(folder)
        return PlannedRun(training, folder, state, Identity("config", "data", "weights"), damage)

    return _make


@pytest.fixture
def make_runner(tmp_path: Path, template: Path) -> MakeRunner:
    """Give a function that makes a runner of stand-ins."""

    def _make(runs: list[PlannedRun]) -> Runner:
        progress = SuiteProgress(Console(width=200), tmp_path, runs)
        return Runner(tmp_path, progress, [sys.executable, STAND_IN, str(template)])

    return _make
