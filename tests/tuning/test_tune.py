"""A sweep of real trainings on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ee_lightning.cli import main
from ee_lightning.errors import EarlyExitError
from ee_lightning.tuning.sweep_file import Metric, Parameter, SweepFile

pytest.importorskip("optuna", reason="the extra optuna is not installed")


@pytest.fixture
def sweep(tmp_path: Path, tiny_backbone: Path, glue_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a grid of two trainings, of which one can't be made."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "grid.yaml"
    file.write_text(
        f"""
program: ee-lightning
method: grid
metric: {{name: val/voting/area, goal: maximize}}
parameters:
  model.heads.pooling: {{values: [mean, nonsense]}}
command: ["${{program}}", fit, --data.task=sst2, --data.root={glue_folder}, --model.backbone={tiny_backbone},
  --data.max_length=32, --trainer.max_epochs=1, --trainer.accelerator=cpu, --trainer.enable_progress_bar=false,
  --trainer.enable_model_summary=false, --config, configs/trainer/wandb.yaml, "${{args}}"]
"""
    )
    return file


def test_a_sweep_runs_what_it_can_and_tables_compare_it(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(repository))
    assert main(["tune", str(sweep)]) == 0
    said = capsys.readouterr().out
    assert ": failed: model.heads.pooling is nonsense" in said
    assert "compare them: ee-lightning tables sweeps-out/grid" in said
    best = next(line for line in said.splitlines() if line.endswith("model.heads.pooling=mean") and "trial_" in line)
    assert main(["tables", "sweeps-out/grid"]) == 0
    assert "voting" in capsys.readouterr().out
    assert main(["tune", str(sweep), "--trials=1"]) == 0, "there is nothing left to do"
    assert best in capsys.readouterr().out


def test_points_of_a_grid_that_failed_are_tried_again_and_others_are_not(
    sweep: Path, tiny_backbone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    late = sweep.parent / "late"
    given = sweep.read_text().replace("model.heads.pooling: {values: [mean, nonsense]}", "")
    given = given.replace("parameters:", f"parameters: {{model.backbone: {{values: [{late}, {tiny_backbone}]}}}}")
    sweep.write_text(given.replace(f" --model.backbone={tiny_backbone},", ""))
    assert main(["tune", str(sweep)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"trial 0: model.backbone={late}\ntrial 0: failed: ")
    assert said.count("val/voting/area") == 2, "the second trial, and the list"
    late.symlink_to(tiny_backbone)
    assert main(["tune", str(sweep)]) == 0
    started = [line for line in capsys.readouterr().out.splitlines() if ": model.backbone=" in line]
    assert started == [f"trial 2: model.backbone={late}"]
    assert main(["tune", str(sweep), "--trials=9"]) == 0
    said = capsys.readouterr().out
    assert ": model.backbone=" not in said, "nothing is left to do"
    assert said.count("val/voting/area") == 2


def test_a_sweep_is_run_by_one_process_at_a_time(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("sweeps-out/grid")
    held = f"from ee_lightning.files import locked; lock = locked(__import__('pathlib').Path('{folder}/sweep.lock'))"
    command = [sys.executable, "-c", f"{held}; assert lock.__enter__() is not None; print('held', flush=True); input()"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert main(["tune", str(sweep)]) == 1
        other.kill()
    assert "the sweep is running already\n  where: sweeps-out/grid" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_search_that_is_continued_draws_other_options(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ee_lightning.tuning.study import Sweep

    (tmp_path / "ee_lightning.py").write_text("raise SystemExit(1)")  # every trial fails at once
    monkeypatch.chdir(tmp_path)
    file = SweepFile(method, Metric("val/loss"), {"a": Parameter(min=0.0, max=1.0)}, ("fit",))
    for _ in range(2):
        sweep = Sweep(file, Path("sweep"), seed=0)
        sweep.run(trials=2, jobs=1)
    assert len({trial.params["a"] for trial in sweep.study.trials}) == 4


@pytest.mark.parametrize(
    ("metric", "parameters", "differing"),
    [
        (Metric("val/loss", "maximize"), {"a": Parameter(values=(1, 2))}, "metric"),
        (Metric("val/loss"), {"a": Parameter(values=(1, 2, 3))}, "a"),
        (Metric("val/loss"), {"b": Parameter(values=(1, 2))}, "a, b"),
    ],
)
def test_a_folder_takes_no_other_sweep(
    metric: Metric, parameters: dict[str, Parameter], differing: str, tmp_path: Path
) -> None:
    from ee_lightning.tuning.study import Sweep

    file = SweepFile("grid", Metric("val/loss"), {"a": Parameter(values=(1, 2))}, ("fit",))
    for _ in range(2):
        Sweep(file, tmp_path, seed=0)
    with pytest.raises(EarlyExitError, match=f"another sweep, which differs in {differing}\n"):
        Sweep(SweepFile("grid", metric, parameters, ("fit",)), tmp_path, seed=0)
