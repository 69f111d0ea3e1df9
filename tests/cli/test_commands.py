"""fit, validate and test, and what they leave in the run folder."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from ee_lightning.cli import main
from ee_lightning.exits import EvaluatedRows
from ee_lightning.runs.folder import RunFolder
from ee_lightning.training import EarlyExitModule

Run = Callable[..., int]


def _options_of(folder: Path, **others: object) -> dict[str, object]:
    return {"trainer.enable_progress_bar": "false", "ckpt_path": folder / "checkpoints" / "last.ckpt", **others}


def test_fit_leaves_a_run_folder_that_explains_itself(finished: Path, small: dict[str, object]) -> None:
    names = {str(file.relative_to(finished)) for file in finished.rglob("*") if file.is_file()}
    checkpoints = {name for name in names if name.startswith("checkpoints/")}
    assert names - checkpoints == {
        "config.yaml",
        "metrics.csv",
        "exit_scores.csv",
        "exits/validation.safetensors",
        "curves.csv",
        "curves.png",
        "diagnostics.json",
        "summary.json",
        "identity.json",
    }
    assert len(checkpoints) == 2
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["model"]["backbone"] == str(small["model.backbone"])
    assert config["model"]["objective"]["class_path"] == "ee_lightning.training.JointObjective"
    metrics = pd.read_csv(finished / "metrics.csv")
    assert {"train/loss", "train/accuracy_term", "val/accuracy", "val/score", "val/voting/area"} <= set(metrics.columns)
    step = metrics.dropna(subset=["train/loss"]).iloc[0]
    assert step["train/loss"] == pytest.approx(step["train/accuracy_term"], rel=1e-5)


def test_stored_exits_curves_and_summary_agree(finished: Path) -> None:
    exits = load_file(finished / "exits" / "validation.safetensors")
    assert exits["logits"].shape == (3, 47, 2)
    assert torch.equal(exits["ids"], torch.arange(47))
    assert torch.equal(exits["labels"], torch.arange(47) % 2)  # the order of the file, whatever that of the batches
    accuracy = (exits["logits"].argmax(-1) == exits["labels"]).double().mean(1)

    curves = pd.read_csv(finished / "curves.csv")
    columns = ["split", "criterion", "threshold", "speedup", "mean_exit", "accuracy", "accuracy_low", "accuracy_high"]
    assert list(curves.columns) == columns
    is_within = (curves["accuracy_low"] <= curves["accuracy"]) & (curves["accuracy"] <= curves["accuracy_high"])
    assert is_within[curves["criterion"] != "oracle"].all()
    assert set(curves["criterion"]) == {"voting", "patience", "confidence", "entropy", "oracle", "fixed"}
    for criterion, points in curves.groupby("criterion"):
        assert points["speedup"].is_monotonic_increasing
        assert points["threshold"].iloc[0] == math.inf
        assert points["speedup"].iloc[-1] == (3 if criterion != "oracle" else pytest.approx(3))
    fixed = curves[curves["criterion"] == "fixed"]
    assert fixed["mean_exit"].tolist() == [3, 2, 1]  # to leave at the last exit is not to leave early: one point
    assert fixed["accuracy"].tolist() == pytest.approx(accuracy.flip(0).tolist())

    summary = json.loads((finished / "summary.json").read_text())["validation"]
    assert summary["samples"] == 47
    assert (finished / summary["checkpoint"]).is_file()
    assert summary["exits"]["accuracy"] == pytest.approx(accuracy.tolist())
    assert summary["full_model"]["accuracy"] == summary["criteria"]["voting"]["accuracy"]["score_at_1x"]
    scores = pd.read_csv(finished / "exit_scores.csv")
    assert scores["accuracy"].tolist() == pytest.approx(accuracy.tolist())  # one epoch, so the best one


def test_the_table_fits_80_columns_and_ends_with_the_folder(
    run: Run, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", **small) == 0
    printed = capsys.readouterr().out.rstrip().splitlines()
    assert printed[-1] == "run folder: runs/run/version_0"
    assert max(map(len, printed)) <= 80
    text = "\n".join(printed)
    for word in (
        "1x",
        "1.5x",
        "2x",
        "3x",
        "area",
        "voting",
        "patience",
        "confidence",
        "entropy",
        "oracle",
        "full model",
    ):
        assert word in text


def test_validate_repeats_the_sweep_of_its_checkpoint(finished: Path, run: Run) -> None:
    assert run("validate", finished / "config.yaml", **_options_of(finished)) == 0
    again = Path("runs/run/version_1")
    assert (again / "curves.csv").read_bytes() == (finished / "curves.csv").read_bytes()


def test_test_refuses_a_split_without_labels(finished: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("test", finished / "config.yaml", **_options_of(finished)) == 1
    assert "no labels" in capsys.readouterr().err
    assert not Path("runs/run/version_1/summary.json").exists()


def test_fit_refuses_to_test_on_a_split_without_labels_before_it_trains(
    run: Run, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", **small, **{"run.test": True}) == 1
    assert "no labels" in capsys.readouterr().err
    assert not [*Path("runs").rglob("metrics.csv"), *Path("runs").rglob("*.ckpt")]


@pytest.mark.parametrize(("monitor", "mode", "evaluations"), [("step", "max", 2), ("step", "min", 3)])
def test_the_last_weights_are_validated_once(
    monitor: str, mode: str, evaluations: int, run: Run, small: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, start = list[object](), EarlyExitModule.on_validation_epoch_start

    def counted(module: EarlyExitModule) -> None:
        started.append(module)
        start(module)

    kept = {"checkpoint.monitor": monitor, "checkpoint.mode": mode, "data.calibration": 20}
    options = {**small, **kept, "trainer.max_epochs": 2, "trainer.num_sanity_val_steps": 0}
    with monkeypatch.context() as patched:
        patched.setattr(EarlyExitModule, "on_validation_epoch_start", counted)
        assert run("fit", **options) == 0
    assert len(started) == evaluations
    first, again = Path("runs/run/version_0"), Path("runs/run/version_1")
    (best,) = (file for file in (first / "checkpoints").iterdir() if file.name != "last.ckpt")
    assert run("validate", first / "config.yaml", **_options_of(first, ckpt_path=best)) == 0
    for name in ("curves.csv", "diagnostics.json", "exits/validation.safetensors", "exits/calibration.safetensors"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    rows = [pd.read_csv(each / "metrics.csv").iloc[-2:].reset_index(drop=True) for each in (first, again)]
    logged = [each.dropna(axis=1, how="all") for each in rows]
    assert logged[0].drop(columns=["epoch", "step"]).equals(logged[1].drop(columns=["epoch", "step"]))
    one, other = (json.loads((each / "summary.json").read_text())["validation"] for each in (first, again))
    assert one.pop("checkpoint") == f"checkpoints/{best.name}"
    other.pop("checkpoint")
    assert one == other


def test_texts_are_stored_where_asked_for(run: Run, small: dict[str, object]) -> None:
    assert run("fit", **small, **{"sweep.texts": "true"}) == 0
    folder = RunFolder("runs/run/version_0")
    texts = folder.read_texts("validation")
    assert texts is not None
    assert list(texts) == folder.read_exits("validation").ids.tolist()
    lines = (Path(str(small["data.root"])) / "SST-2/dev.tsv").read_text().splitlines()[1:]
    assert [text for (text,) in texts.values()] == [line.partition("\t")[0].strip() for line in lines]


def test_a_limited_evaluation_says_so_everywhere(
    run: Run, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    limited = {"trainer.limit_val_batches": 1, "data.eval_batch_size": 16, "data.calibration": 20}
    assert run("fit", **small, **limited) == 0
    printed = capsys.readouterr()
    assert "sst2 validation: 16 of 47 samples, drawn at random, 3 exits" in printed.out
    assert "warning: limit_val_batches limits the evaluation to 16 of 47 validation rows" in printed.err
    folder = RunFolder("runs/run/version_0")
    exits, calibration = folder.read_exits("validation"), folder.read_exits("calibration")
    assert exits.rows == EvaluatedRows(total=47, is_drawn=True, files=["SST-2/dev.tsv"])
    assert exits.ids.tolist() == sorted(np.random.default_rng(42).permutation(47)[:16].tolist())
    assert torch.equal(exits.known_labels(), exits.ids % 2)
    assert calibration.rows == EvaluatedRows(total=20, is_drawn=True, files=["SST-2/train.tsv"])
    assert calibration.num_samples == 16
    assert torch.equal(calibration.known_labels(), calibration.ids % 2)
    summary = folder.read_figures("validation")
    assert (summary["samples"], summary["total"], summary["drawn_at_random"]) == (16, 47, True)


def test_the_test_split_is_swept_when_asked(run: Run, small: dict[str, object]) -> None:
    for split in ("train", "validation", "test"):
        Path("mine").mkdir(exist_ok=True)
        rows = [f"film {split} {n},{'good' if n % 2 else 'bad'}" for n in range(40)]
        Path(f"mine/{split}.csv").write_text("\n".join(["text,label", *rows]))
    options = {**small, "data.task": "mine", "data.root": "mine", "data.own.text_columns": "[text]"}
    options |= {"data.eval_batch_size": 8, "trainer.limit_val_batches": 1, "trainer.limit_test_batches": 2}
    assert run("fit", **options, **{"run.test": True}) == 0
    folder = RunFolder("runs/run/version_0")
    swept = folder.read_summary()
    assert list(swept) == ["validation", "test"]
    assert [folder.read_exits(split).num_samples for split in swept] == [swept[split]["samples"] for split in swept]
    assert swept["test"]["checkpoint"] == swept["validation"]["checkpoint"]
    assert list(folder.read_curves()) == ["validation", "test"]
    killed_between = json.dumps({"validation": swept["validation"]})
    (folder.path / "summary.json").write_text(killed_between)
    assert run("fit", **options, **{"run.test": True}, ckpt_path="last") == 0
    assert folder.read_summary() == swept
    assert run("test", folder.config, **_options_of(folder.path)) == 0
    again = RunFolder("runs/run/version_1")
    assert list(again.read_summary()) == ["test"]
    assert again.read_figures("test")["samples"] == 16


def test_training_learns_the_easy_task(trained: Callable[..., Path]) -> None:
    summary = json.loads((trained("sst2") / "summary.json").read_text())["validation"]
    assert min(summary["exits"]["accuracy"]) > 0.9


def test_fast_dev_run_leaves_nothing_behind(run: Run, small: dict[str, object]) -> None:
    assert run("fit", **small, **{"trainer.fast_dev_run": "true"}) == 0
    assert not Path("runs").exists()


def test_a_run_away_leaves_the_checkpoint_of_the_epoch_before(
    run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    rising = {"model.objective": "EnsembleObjective", "model.objective.diversity_weight": 50}
    rising |= {"model.objective.diversity_warmup": 1, "trainer.max_epochs": 2}
    rising |= {"model.optimization.head_learning_rate": 1, "model.optimization.warmup_fraction": 0.7}
    assert run("fit", **{**small, **rising}) == 1
    printed = capfd.readouterr().err
    assert re.search(r"diversity term runs away: it is [\d.]+.*\n  where: epoch 1, step \d\n  hint:.*λ", printed), (
        printed
    )
    folder = Path("runs/run/version_0")
    saved = sorted(file.name for file in (folder / "checkpoints").iterdir())
    assert [name.split("-")[0] for name in saved] == ["epoch=0", "last.ckpt"]
    assert run("validate", folder / "config.yaml", **_options_of(folder)) == 0
    scores = pd.read_csv(folder / "exit_scores.csv")
    validated = json.loads(Path("runs/run/version_1/summary.json").read_text())["validation"]
    assert validated["exits"]["accuracy"] == pytest.approx(scores["accuracy"].tolist())


def test_the_gate_is_stored_and_replayed(run: Run, small: dict[str, object]) -> None:
    assert run("fit", **{**small, "model.heads.gate": "true"}) == 0
    folder = Path("runs/run/version_0")
    metrics = pd.read_csv(folder / "metrics.csv").dropna(subset=["train/loss"])
    assert (metrics["train/gate_term"] > 0).all()
    total = metrics["train/accuracy_term"] + metrics["train/gate_term"]
    assert metrics["train/loss"].tolist() == pytest.approx(total.tolist(), rel=1e-5)

    stored = load_file(folder / "exits" / "validation.safetensors")
    gate = stored["extra.gate"]  # [exits, samples]
    assert gate.shape == (3, 47)
    assert gate.min() > 0
    assert gate.max() < 1
    assert main(["curves", str(folder), "--criteria", "gate"]) == 0
    curve = pd.read_csv(folder / "curves.csv").query("criterion == 'gate'")
    assert len(curve) > 3
    right = stored["logits"].argmax(-1) == stored["labels"]  # [exits, samples]
    for point in curve.itertuples():
        leaves = [next((m for m in (0, 1) if -u[m] >= point.threshold), 2) for u in gate.T.tolist()]
        assert point.mean_exit == pytest.approx(1 + sum(leaves) / 47)
        assert point.accuracy == pytest.approx(right[leaves, range(47)].double().mean().item())
