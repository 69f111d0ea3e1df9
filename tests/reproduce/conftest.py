"""Runs of a suite, with a stand-in for their training, and run folders made by hand."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console
from summaries import figures

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.exits import StoredExits, Voting
from ee_lightning.reporting import write_sweep
from ee_lightning.reproduce.evaluation import Evaluation, RunKey, evaluate
from ee_lightning.reproduce.plan import PlannedRun, State
from ee_lightning.reproduce.progress import SuiteProgress
from ee_lightning.reproduce.runner import Runner
from ee_lightning.reproduce.suite import FitOptions, Row, Suite, Training
from ee_lightning.runs.folder import CALIBRATION, RunFolder

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
MakeRun = Callable[..., PlannedRun]
MakeRunner = Callable[..., Runner]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run folder, without checkpoints."""
    torch.manual_seed(0)
    exits = StoredExits(torch.randn(3, 20, 2), torch.randint(2, (20,)), torch.arange(20))
    folder = write_run(tmp_path_factory.mktemp("template") / "version_0", exits)
    found = sweep_exits([Voting()], exits, None, split="validation", task="sst2", metrics=["accuracy"], checkpoint=None)
    write_sweep(folder, found)
    return folder.path


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that plans a run of the stand-in."""

    def _make(task: str, name: str = "full", **options: object) -> PlannedRun:
        training = Training(task, name, 1, FitOptions(options=options))
        return PlannedRun(training, tmp_path, State.TO_DO, digest=task).examined()

    return _make


@pytest.fixture
def make_runner(template: Path) -> MakeRunner:
    """Return a function that makes a runner of stand-ins."""

    def _make(runs: list[PlannedRun]) -> Runner:
        return Runner(SuiteProgress(Console(width=200), runs), [sys.executable, STAND_IN, str(template)])

    return _make


OBJECTIVE = {"class_path": "ee_lightning.training.EnsembleObjective", "init_args": {"diversity_weight": 0.2}}


def exits_of(said: list[list[int]], labels: list[int], sure: list[list[float]] | None = None) -> StoredExits:
    """Make exits of two classes that say these classes, ``[exits][samples]``, each so surely (5 if left out)."""
    classes = torch.tensor(said)  # [exits, samples]
    strength = torch.full_like(classes, 5.0, dtype=torch.float32) if sure is None else torch.tensor(sure)
    logits = torch.nn.functional.one_hot(classes, 2) * strength.unsqueeze(-1)  # [exits, samples, 2]
    return StoredExits(logits, torch.tensor(labels), torch.arange(len(labels)))


def write_run(
    path: Path,
    exits: StoredExits,
    calibration: StoredExits | None = None,
    *,
    metrics: tuple[str, ...] = ("accuracy",),
    **changed: object,
) -> RunFolder:
    """Write what tables read of a run; ``changed`` options have ``__`` for dots."""
    config = {
        "model": {
            "backbone": "no/such/backbone",
            "num_layers": None,
            "objective": OBJECTIVE,
            "heads": {"exits": "last" if exits.num_exits == 1 else "every", "pooling": "mean"},
            "optimization": {"learning_rate": 2e-5, "head_learning_rate": None},
        },
        "data": {"task": "rte", "root": "no/such/folder", "max_length": 32, "batch_size": 16, "limit_train": None},
        "trainer": {"max_epochs": 5},
        "checkpoint": {"monitor": "val/score"},
    }
    for name, value in changed.items():
        *parts, last = name.split("__")
        place = config
        for part in parts:
            place = place[part]
        place[last] = value
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    folder = RunFolder(path)
    folder.write_exits("validation", exits)
    if calibration is not None:
        folder.write_exits(CALIBRATION, calibration)
    folder.write_summary("validation", figures(metrics))
    return folder


def suite_of(*rows: Row, tasks: tuple[str, ...] = ("RTE",), seeds: tuple[int, ...] = (1,), **others: object) -> Suite:
    """Make a suite of these rows."""
    nothing = FitOptions()
    return Suite(
        name="made_up",
        title="A made-up suite",
        fit=nothing,
        tasks=dict.fromkeys(tasks, nothing),
        trainings=dict.fromkeys([row.training for row in rows], nothing),
        seeds=seeds,
        rows=rows,
        **others,
    )


def noisy(num_samples: int, seed: int, *, num_exits: int = 4, noise: float = 1.0) -> StoredExits:
    """Make exits of which the later ones are right more often."""
    labels = torch.arange(num_samples) % 2
    depth = torch.arange(1, num_exits + 1).view(-1, 1, 1) / num_exits
    noises = torch.randn(num_exits, num_samples, 2, generator=torch.Generator().manual_seed(seed))
    signal = torch.nn.functional.one_hot(labels, 2)
    return StoredExits(depth * signal + 0.5 * noise * noises, labels, torch.arange(num_samples))


@pytest.fixture
def make_exits() -> Callable[..., StoredExits]:
    return exits_of


@pytest.fixture
def noisy_exits() -> Callable[..., StoredExits]:
    return noisy


@pytest.fixture
def make_suite() -> Callable[..., Suite]:
    return suite_of


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., RunFolder]:
    """Return a function that writes a run folder, anew each time."""

    def make(*args: object, **others: object) -> RunFolder:
        return write_run(tmp_path / "runs" / str(len(list(tmp_path.glob("runs/*")))), *args, **others)

    return make


@pytest.fixture(scope="session")
def whole_suite() -> Suite:
    """Return a suite of two tasks and three seeds with a row of every kind."""
    return suite_of(
        Row("ALBERT-base", "full"),
        Row("ALBERT-6L", "6l", speedup=2.0),
        Row("PABEE", "pabee", "patience", 1.5),
        Row("Ours w/ Patience", "ours", "patience", 1.5),
        Row("Ours w/ Voting", "ours", "voting", 1.5),
        Row("Oracle", "ours", "oracle"),
        tasks=("RTE", "CoLA"),
        seeds=(1, 2, 3),
        published="glue_dev",
        compare=("Ours w/ Voting", "PABEE"),
    )


@pytest.fixture(scope="session")
def whole_folders(whole_suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> dict[RunKey, RunFolder]:
    """Return all its runs, but for seed 3 of PABEE on CoLA."""
    root, folders = tmp_path_factory.mktemp("whole"), {}
    for number, (task, metric) in enumerate((("RTE", "accuracy"), ("CoLA", "matthews"))):
        for seed in (1, 2, 3):
            for offset, (name, noise) in enumerate((("full", 0.5), ("6l", 1.0), ("pabee", 1.5), ("ours", 0.3))):
                exits = noisy(40, 100 * number + 10 * seed + offset, noise=noise)
                if is_plain := name in ("full", "6l"):
                    exits = StoredExits(exits.logits[-1:], exits.labels, exits.ids)
                folders[task, name, seed] = write_run(
                    root / f"{task}-{name}-{seed}",
                    exits,
                    None if is_plain else noisy(30, 1000 + seed + offset, noise=noise),
                    metrics=(metric,),
                    model__num_layers=2 if name == "6l" else None,
                )
    del folders["CoLA", "pabee", 3]
    return folders


@pytest.fixture(scope="session")
def whole(whole_suite: Suite, whole_folders: dict[RunKey, RunFolder]) -> Evaluation:
    """Return what was found on them."""
    return evaluate(whole_suite, whole_folders)
