"""A task whose exits predict a value, from its file to curves."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger

from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, Criterion, Patience, Voting, replay
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.models import HeadOptions
from ee_lightning.runs.folder import RunFolder
from ee_lightning.training import EarlyExitModule, Optimization
from ee_lightning.training.data_module import TaskDataModule
from ee_lightning.training.objectives.joint import JointObjective


def _data(task: str, glue_folder: Path, tiny_backbone: Path) -> TaskDataModule:
    return TaskDataModule(task, root=str(glue_folder), tokenizer=str(tiny_backbone), batch_size=16, max_length=32)


def _module(data: TaskDataModule, tiny_backbone: Path) -> EarlyExitModule:
    return EarlyExitModule(
        str(tiny_backbone),
        data.num_classes,
        data.metrics,
        JointObjective(),
        heads=HeadOptions(pooling="mean"),
        optimization=Optimization(learning_rate=5e-4, head_learning_rate=2e-2),
    )


def _trainer(folder: Path, criteria: list[Criterion], epochs: int = 1) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=CSVLogger(folder, name=""),
        callbacks=[ExitSweep(criteria)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, glue_folder: Path, tiny_backbone: Path) -> RunFolder:
    """Return the folder of a run on the small STS-B: trained and validated."""
    seed_everything(0)
    data = _data("stsb", glue_folder, tiny_backbone)
    module = _module(data, tiny_backbone)
    trainer = _trainer(tmp_path_factory.mktemp("runs"), [Patience(tolerance=0.5)], epochs=20)
    trainer.fit(module, data)
    trainer.validate(module, data, verbose=False)
    return RunFolder(str(trainer.log_dir))


def test_stored_exits_hold_the_values_and_the_scores_of_the_file(run: RunFolder, glue_folder: Path) -> None:
    exits = run.read_exits("validation")
    assert exits.logits.shape == (3, 47, 1)
    scores = pd.read_csv(glue_folder / "STS-B" / "dev.tsv", sep="\t")["score"]
    assert torch.equal(exits.known_labels(), torch.tensor(scores.to_numpy(), dtype=torch.float32))


def test_it_learns_and_every_exit_is_scored(run: RunFolder) -> None:
    exits = run.read_exits("validation")
    labels = exits.known_labels()
    pearson = [torch.corrcoef(torch.stack([value, labels]))[0, 1].item() for value in exits.logits.squeeze(-1)]
    assert min(pearson) > 0.8
    by_epoch = pd.read_csv(run.path / "exit_scores.csv")
    assert list(by_epoch.columns) == ["epoch", "exit", "pearson", "spearman"]
    last = by_epoch[by_epoch["epoch"] == 19]
    assert last["pearson"].tolist() == pytest.approx(pearson, rel=1e-5)
    logged = pd.read_csv(run.path / "metrics.csv")
    for name, expected in (("score", pearson[-1]), ("spearman", last["spearman"].iloc[-1])):
        assert logged[f"val/{name}"].dropna().iloc[-1] == pytest.approx(expected, rel=1e-5)
    assert "val/patience(tolerance=0.5)/area" in logged


def test_curves_are_of_the_correlation_that_adds_up(run: RunFolder) -> None:
    curves = pd.read_csv(run.path / "curves.csv")
    assert set(curves["criterion"]) == {"patience(tolerance=0.5)", "fixed"}
    assert "spearman" not in curves
    summary = json.loads((run.path / "summary.json").read_text())["validation"]
    assert (summary["task"], summary["metrics"], summary["oracle"]) == ("stsb", ["pearson"], None)
    exits = run.read_exits("validation")
    points = curves[curves["criterion"] == "patience(tolerance=0.5)"]
    decisions = replay(Patience(tolerance=0.5), exits)
    for point in points.itertuples():
        exit_layer, value = decisions.at(point.threshold)
        assert point.mean_exit == pytest.approx(exit_layer.double().mean().item())
        expected = torch.corrcoef(torch.stack([value, exits.known_labels()]))[0, 1].item()
        assert point.pearson == pytest.approx(expected, rel=1e-5)
    assert len(points) > 2


@pytest.mark.parametrize(
    ("task", "criterion", "problem"),
    [
        ("stsb", Voting(), "voting needs classes"),
        ("stsb", Confidence(), "confidence needs classes"),
        ("stsb", Patience(), "Patience needs a tolerance for regression"),
        ("rte", Patience(tolerance=0.5), "takes none for classification"),
    ],
)
def test_a_criterion_that_cannot_judge_the_task_is_refused_before_training(
    task: str, criterion: Criterion, problem: str, tmp_path: Path, glue_folder: Path, tiny_backbone: Path
) -> None:
    data = _data(task, glue_folder, tiny_backbone)
    module = _module(data, tiny_backbone)
    with pytest.raises(OptionError, match=problem) as caught:
        _trainer(tmp_path, [criterion]).fit(module, data)
    assert "regression" in caught.value.hint
    assert module.global_step == 0
