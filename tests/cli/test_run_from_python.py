"""A run that is trained from Python, as README has it, goes the way of any other."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from datasets import Dataset, DatasetDict
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger

from ee_lightning.cli import main
from ee_lightning.data import CustomTask
from ee_lightning.errors import DataError
from ee_lightning.exits import Patience, Voting
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.models import HeadOptions
from ee_lightning.training import EarlyExitModule, EnsembleObjective, TaskDataModule

FIXED = ["--criterion", "fixed", "--threshold", "2"]


def train(data: TaskDataModule, backbone: Path) -> Path:
    """Train and evaluate a small model, and return the folder of the run."""
    objective, heads = EnsembleObjective(diversity_weight=0.1), HeadOptions(pooling="mean")
    module = EarlyExitModule(str(backbone), data.num_classes, data.metrics, objective, heads=heads)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    logger, sweep = CSVLogger("runs", name="from-python"), ExitSweep([Voting(), Patience()])
    trainer = Trainer(max_epochs=1, logger=logger, callbacks=[sweep], log_every_n_steps=1, **quiet)
    trainer.fit(module, data)
    trainer.validate(module, data)
    return Path(str(trainer.log_dir))


def test_it_is_chosen_for_predicts_is_saved_and_compared(
    tiny_backbone: Path, glue_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = TaskDataModule("sst2", root=str(glue_folder), tokenizer=str(tiny_backbone), max_length=32, seed=3)
    folder = train(data, tiny_backbone)
    assert main(["choose", str(folder), "--criterion", "voting", "--max-loss", "50"]) == 0
    assert main(["predict", str(folder)]) == 0
    expected = pd.read_csv(folder / "predictions.csv")["label"].tolist()
    assert main(["save", str(folder), "saved"]) == 0
    Path("texts.csv").write_text("sentence\nlovely film\n")
    for model in (str(folder), "saved"):
        assert main(["predict", model, "--input", "texts.csv", "--output", f"{Path(model).name}.csv"]) == 0
    assert pd.read_csv("saved.csv").equals(pd.read_csv("version_0.csv"))
    assert EarlyExitPredictor.from_run(folder)("lovely film").label == pd.read_csv("saved.csv")["label"][0]
    assert set(expected) <= {"negative", "positive"}
    assert main(["tables", "runs"]) == 0
    assert "from-python (1 run)" in capsys.readouterr().out

    options = ["--config", str(folder / "config.yaml"), "--run.name", "again", "--trainer.max_epochs", "1"]
    options += ["--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1"]
    assert main(["fit", *options]) == 0  # the options are those of a command too
    again, before = (
        yaml.safe_load((run / "config.yaml").read_text()) for run in (Path("runs/again/version_0"), folder)
    )
    assert again["seed_everything"] == before["seed_everything"] == 3
    assert again["data"].items() >= before["data"].items()
    assert again["model"]["heads"] == before["model"]["heads"]


def test_rows_in_memory_are_named(tiny_backbone: Path) -> None:
    texts = [f"{word} film {number}" for number in range(8) for word in ("good", "bad")]
    rows = Dataset.from_dict({"text": texts, "label": ["yes", "no"] * 8})
    own = CustomTask(["text"], validation_share=0.25)
    data = TaskDataModule("mine", DatasetDict(train=rows), str(tiny_backbone), max_length=16, batch_size=4, own=own)
    folder = train(data, tiny_backbone)
    predictor = EarlyExitPredictor.from_run(folder, criterion="fixed", threshold=2)
    assert predictor("good film").label in {"yes", "no"}
    assert main(["save", str(folder), "saved", *FIXED]) == 0


def test_data_that_are_no_dict_of_splits_are_one_error(tiny_backbone: Path) -> None:
    rows = Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    for root in (rows, {"train": rows}):
        with pytest.raises(DataError, match=rf"can't be read from a {type(root).__name__}\n[\s\S]*give a DatasetDict"):
            TaskDataModule("mine", root, str(tiny_backbone), own=CustomTask(text_columns=("text",)))
