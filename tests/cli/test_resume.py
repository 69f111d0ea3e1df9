"""A run that is killed and resumed ends as if nothing had happened."""

import re
import signal
import time
from collections.abc import Callable
from contextlib import chdir
from functools import partial
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
import torch
import wandb
from forked import Command
from killed import die_at

from ee_lightning.cli import main
from ee_lightning.fit.command import EarlyExitCLI

Run = Callable[..., int]
Options = dict[str, object]
FOLDER = Path("runs/run/version_0")
REPOSITORY = Path(__file__).parents[2]
NUM_STEPS = 36
FILES = (
    "config.yaml",
    "metrics.csv",
    "exit_scores.csv",
    "summary.json",
    "curves.csv",
    "diagnostics.json",
    "exits/validation.safetensors",
)
VARIANTS: dict[str, Options] = {
    "plain": {},
    "accumulating": {"trainer.accumulate_grad_batches": 2, "last_checkpoint.every_n_steps": 2},
    "a worker": {"data.num_workers": 1},
    "validating within epochs": {"trainer.val_check_interval": 0.5},
    "by steps": {"trainer.max_epochs": -1, "trainer.max_steps": 30},
    "thawing": {
        "trainer.callbacks": "[{class_path: BackboneFinetuning, init_args: {unfreeze_backbone_at_epoch: 1}}]",
    },
}


@pytest.fixture
def training(small: Options) -> Options:
    """Return options for three epochs of twelve batches."""
    return {
        **small,
        "data.batch_size": 8,
        "trainer.max_epochs": 3,
        "trainer.deterministic": "true",
        "model.heads.pooling": "mean",
        "model.optimization.learning_rate": 5e-4,
        "model.optimization.head_learning_rate": 3e-2,
        "model.optimization.warmup_fraction": 0,  # so that every epoch is better than the one before
        "last_checkpoint.every_n_steps": 5,
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that trains to the end in another folder, once for each set of options, and returns the run."""
    trained: dict[str, Path] = {}

    def _train(options: Options, *configs: Path) -> Path:
        command = _flags(options, *configs)
        if str(command) not in trained:
            elsewhere = tmp_path_factory.mktemp("uninterrupted")
            with chdir(elsewhere):
                assert main(command) == 0
            trained[str(command)] = elsewhere / FOLDER
        return trained[str(command)]

    return _train


def _flags(options: Options, *configs: Path) -> list[str]:
    return [
        "fit",
        *(f"--config={config}" for config in configs),
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def _dies(moment: str, number: int, options: Options, *configs: Path) -> None:
    died = Command(*_flags(options, *configs), before=partial(die_at, moment, number))
    assert died.ends() == -signal.SIGKILL, died.printed


def _kill_after_row(
    number: int, options: Options, *configs: Path, while_it_is_held: Callable[[], None] = lambda: None
) -> None:
    """Hold the command line from outside when so many rows are logged, and kill it."""
    process = Command(*_flags(options, *configs))
    metrics = FOLDER / "metrics.csv"
    before = metrics.stat().st_mtime_ns if metrics.exists() else 0
    while not metrics.exists() or metrics.stat().st_mtime_ns == before or _num_rows(metrics) < number:
        assert process.is_alive(), process.printed
        time.sleep(0.001)
    process.send(signal.SIGSTOP)
    try:
        while_it_is_held()
    finally:
        process.kill()
    assert process.ends() == -signal.SIGKILL


def _num_rows(metrics: Path) -> int:
    return metrics.read_bytes().count(b"\n") - 1


def _resume(run: Run, options: Options) -> None:
    assert run("fit", **{**options, "ckpt_path": "last"}) == 0


def _assert_same(folder: Path, expected: Path) -> None:
    for name in FILES:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    checkpoints = {file.name for file in (expected / "checkpoints").iterdir()}
    assert {file.name for file in (folder / "checkpoints").iterdir()} == checkpoints
    for name in checkpoints:
        found, wanted = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (folder, expected))
        differences = [path for path, equal in _compared(found, wanted) if not equal]
        assert not differences, name
    assert not list(folder.rglob(".*"))


def _compared(one: Any, other: Any, path: str = "") -> list[tuple[str, bool]]:
    """Compare checkpoints leaf by leaf, bit by bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), path
        keys = one.keys() - {"current_score"}  # which ModelCheckpoint saves, but neither loads nor reads
        return [leaf for key in keys for leaf in _compared(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        pairs = enumerate(zip_longest(one, other))
        return [leaf for index, pair in pairs for leaf in _compared(*pair, f"{path}/{index}")]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [(path, torch.equal(one, other))]
    return [(path, one == other)]


def test_a_run_killed_twice_ends_as_an_uninterrupted_one(
    training: Options, run: Run, uninterrupted: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = uninterrupted(training)
    _dies("in the middle of a checkpoint", 2, training)  # of last.ckpt, which the next would go on from
    _kill_after_row(Random().randrange(14, 24), {**training, "ckpt_path": "last"})
    capsys.readouterr()
    _resume(run, training)
    printed = capsys.readouterr().out
    step, epoch = map(int, re.search(r"going on after step (\d+), in epoch (\d+)", printed).groups())  # type: ignore[union-attr]
    assert 10 <= step <= NUM_STEPS
    assert epoch == step // 12
    _assert_same(FOLDER, expected)
    assert pd.read_csv(FOLDER / "metrics.csv")["train/loss"].count() == NUM_STEPS
    assert [folder.name for folder in FOLDER.parent.iterdir()] == ["version_0"]


def test_a_run_stopped_early_is_not_trained_on(
    training: Options, run: Run, uninterrupted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = "{class_path: EarlyStopping, init_args: {monitor: val/score, mode: max, stopping_threshold: 0.3}}"
    options = {**training, "trainer.callbacks": f"[{stopping}]"}
    expected = uninterrupted(options)
    assert pd.read_csv(expected / "exit_scores.csv")["epoch"].max() == 0
    with monkeypatch.context() as context:
        context.setattr(EarlyExitCLI, "after_fit", _break_off)
        assert run("fit", **options) == 130
    _resume(run, options)
    _assert_same(FOLDER, expected)


def test_a_run_that_is_still_alive_is_not_joined(
    training: Options, run: Run, uninterrupted: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    options = {**training, "data.num_workers": 1}  # a process that lives on for a while after it
    expected = uninterrupted(options)
    capfd.readouterr()

    def join() -> None:
        before = {file: file.read_bytes() for file in FOLDER.rglob("*") if file.is_file()}
        assert run("fit", **{**options, "ckpt_path": "last"}) == 1
        printed = capfd.readouterr().err
        assert re.search(r"another process is still training[\s\S]*where: runs/run/version_0\n[\s\S]*hint:", printed)
        assert {file: file.read_bytes() for file in FOLDER.rglob("*") if file.is_file()} == before
        assert FOLDER / ".lock" in before

    _kill_after_row(14, options, while_it_is_held=join)
    _resume(run, options)
    _assert_same(FOLDER, expected)


def test_a_backbone_that_a_callback_has_thawed_goes_on_training(
    training: Options, run: Run, uninterrupted: Callable[..., Path]
) -> None:
    options = {**training, **VARIANTS["thawing"]}
    expected = uninterrupted(options)
    _dies("before a step", 20, options)
    _resume(run, options)
    _assert_same(FOLDER, expected)


@pytest.mark.parametrize("change", ["spelled in full", "moved"])
def test_a_run_goes_on_in_the_place_where_its_folder_is_now(
    change: str, training: Options, run: Run, uninterrupted: Callable[..., Path]
) -> None:
    expected = uninterrupted(training)
    _dies("in a validation", 3, {**training, "run.root": Path("elsewhere" if change == "moved" else "runs").resolve()})
    if change == "moved":
        Path("elsewhere").rename("runs")
    (best,) = (FOLDER / "checkpoints").glob("epoch=0*")
    _resume(run, training)
    assert not best.exists()  # as it is no longer among the best
    _assert_same(FOLDER, expected)


def test_the_configuration_is_that_of_the_uninterrupted_run_wherever_it_comes_from(
    training: Options, run: Run, uninterrupted: Callable[..., Path]
) -> None:
    mine = Path("mine.yaml").resolve()
    objective = "{class_path: EnsembleObjective, init_args: {diversity_weight: 5e-2}}"
    mine.write_text(
        "run: {name: run}\n"
        f"model:\n  objective: {objective}\n"
        "data: {max_length: 24, eval_batch_size: '${data.max_length}'}\n"
        "sweep: {criteria: [Voting, {class_path: Patience}]}\n"
    )
    configs = (mine, REPOSITORY / "configs" / "trainer" / "wandb.yaml")
    del training["data.max_length"]
    expected = uninterrupted(training, *configs)
    wandb.finish()
    _dies("before a step", 20, training, *configs)
    before = (FOLDER / "config.yaml").read_bytes()
    assert run("fit", *configs, **training, ckpt_path="last") == 0
    assert (FOLDER / "config.yaml").read_bytes() == before
    assert b"eval_batch_size: 24" in before
    assert b"WandbLogger" in before
    _assert_same(FOLDER, expected)


def test_a_run_from_a_checkpoint_starts_again_from_it_where_it_wrote_none_itself(
    training: Options, run: Run, uninterrupted: Callable[..., Path]
) -> None:
    other = {**training, "run.name": "other", "checkpoint.save_top_k": -1}
    assert run("fit", **other) == 0
    (first,) = Path("runs/other/version_0/checkpoints").resolve().glob("epoch=0*")
    options = {**training, "ckpt_path": first}
    expected = uninterrupted(options)
    _dies("in a step", 3, options)
    _resume(run, options)
    _assert_same(FOLDER, expected)


def test_a_checkpoint_can_be_named_too_and_goes_on_in_a_folder_of_its_own(training: Options, run: Run) -> None:
    assert run("fit", **training, **{"checkpoint.save_top_k": -1}) == 0
    (first, *_) = (FOLDER / "checkpoints").glob("epoch=0*")
    assert run("fit", **training, ckpt_path=first) == 0
    again = FOLDER.with_name("version_1")
    weights, expected = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (again, FOLDER)
    )
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    rows = (FOLDER / "metrics.csv").read_text().splitlines()
    assert (again / "metrics.csv").read_text().splitlines() == [rows[0], *rows[-len(rows) + 14 :]]


def test_a_finished_run_is_left_alone(
    finished: Path, run: Run, capfd: pytest.CaptureFixture[str], small: Options
) -> None:
    before = {file: file.stat().st_mtime_ns for file in FOLDER.rglob("*")}
    best = next((FOLDER / "checkpoints").glob("epoch=*"))
    assert run("validate", **small, ckpt_path=best) == 0  # makes a newer folder, which is no training run's
    capfd.readouterr()
    _resume(run, small)
    assert capfd.readouterr().out == f"this run is finished, and nothing was done: {FOLDER}\n"
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_where_nothing_was_started_there_is_nothing_to_go_on_with(
    run: Run, small: Options, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", **small, ckpt_path="last") == 1
    assert re.search(r"no training run[\s\S]*runs/run[\s\S]*--run.name", capfd.readouterr().err)
    assert not Path("runs").exists()


def test_a_run_without_a_checkpoint_starts_again_in_its_folder(
    training: Options, run: Run, uninterrupted: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    expected = uninterrupted(training)
    (FOLDER / "checkpoints").mkdir(parents=True)
    (FOLDER / "metrics.csv").write_text("step,train/loss\n0,0.7\n")
    capfd.readouterr()
    _resume(run, training)
    assert f"no checkpoint was written yet, so the run starts again: {FOLDER}" in capfd.readouterr().out
    _assert_same(FOLDER, expected)


def _break_off(self: EarlyExitCLI) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_runs_killed_twice_at_random_end_as_an_uninterrupted_one(
    variant: str, training: Options, run: Run, uninterrupted: Callable[..., Path]
) -> None:
    options = {**training, **VARIANTS[variant]}
    expected = uninterrupted(options)
    first, second = sorted(Random().sample(range(1, _num_rows(expected / "metrics.csv") - 3), 2))
    print(f"killed after rows {first} and {second}")
    _kill_after_row(first, options)
    _kill_after_row(second, {**options, "ckpt_path": "last"})
    _resume(run, options)
    _assert_same(FOLDER, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("in a step", 3),  # no checkpoint yet
        ("in a step", 31),
        ("before a step", 13),
        ("before a row is logged", 29),
        ("in a validation", 2),  # the first is Lightning's sanity check
        ("in a validation", 4),
        ("in the middle of a checkpoint", 1),
        ("in the middle of a checkpoint", 4),
        ("after a checkpoint", 9),
        ("before the sweep", 1),
        ("in the sweep", 1),
    ],
)
def test_no_moment_is_a_bad_one(
    moment: str, number: int, training: Options, run: Run, uninterrupted: Callable[..., Path]
) -> None:
    options = {**training, "checkpoint.save_top_k": -1}
    expected = uninterrupted(options)
    _dies(moment, number, options)
    _resume(run, options)
    _assert_same(FOLDER, expected)


@pytest.mark.slow
def test_two_processes_that_are_killed_go_on_together(training: Options) -> None:
    options = {**training, "data.batch_size": 4, "trainer.devices": 2, "trainer.strategy": "ddp"}

    def train(folder: str, **others: object) -> Command:
        return Command(*_flags({**options, **others}), folder=Path(folder).absolute())

    def join() -> None:
        refused = train(".", ckpt_path="last")
        assert refused.ends() == 1
        assert "another process is still training" in refused.printed

    Path("uninterrupted").mkdir()
    expected = train("uninterrupted")
    assert expected.ends() == 0, expected.printed
    _kill_after_row(Random().randrange(14, 24), options, while_it_is_held=join)
    resumed = train(".", ckpt_path="last")
    assert resumed.ends() == 0, resumed.printed
    _assert_same(FOLDER, "uninterrupted" / FOLDER)
