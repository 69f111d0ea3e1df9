"""The options of fit, resolved without a run."""

from pathlib import Path

import pytest
import yaml

from ee_lightning.errors import OptionError
from ee_lightning.fit.command import FitOptionsParser


def test_they_are_those_that_a_run_saves(shared_run: Path, small: dict[str, object]) -> None:
    saved = yaml.safe_load((shared_run / "config.yaml").read_text())
    parser = FitOptionsParser()
    for _ in range(2):
        assert parser.resolve([f"--{name}={value}" for name, value in small.items()]) == saved
    assert not list(Path().iterdir())


def test_what_cannot_be_parsed_is_a_mistake_of_the_user() -> None:
    parser = FitOptionsParser()
    for _ in range(2):
        with pytest.raises(OptionError, match=r"the option model\.backbone is needed"):
            parser.resolve(["--data.task=sst2"])


def test_configurations_add_their_loggers_and_callbacks_each_once(small: dict[str, object]) -> None:
    named = ("wandb", "tensorboard", "wandb", "early_stopping")
    options = [f"--{name}={value}" for name, value in small.items()] + [f"--config={name}" for name in named]
    trainer = FitOptionsParser().resolve([*options, "--trainer.callbacks+=LearningRateMonitor"])["trainer"]
    found = [[each["class_path"].rpartition(".")[2] for each in trainer[name]] for name in ("logger", "callbacks")]
    assert found == [["EarlyExitWandbLogger", "TensorBoardLogger"], ["EarlyStopping", "LearningRateMonitor"]]
