"""The options of fit, resolved without a run."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ee_lightning.errors import OptionError
from ee_lightning.fit.command import FitOptionsParser

Run = Callable[..., int]


def test_they_are_those_that_a_run_saves(run: Run, small: dict[str, object]) -> None:
    assert run("fit", **small) == 0
    saved = yaml.safe_load(Path("runs/run/version_0/config.yaml").read_text())
    parser = FitOptionsParser()
    for _ in range(2):
        assert parser.resolve([f"--{name}={value}" for name, value in small.items()]) == saved
    assert list(Path().iterdir()) == [Path("runs")]


def test_what_cannot_be_parsed_is_a_mistake_of_the_user() -> None:
    parser = FitOptionsParser()
    for _ in range(2):
        with pytest.raises(OptionError, match=r"the option model\.backbone is needed"):
            parser.resolve(["--data.task=sst2"])
