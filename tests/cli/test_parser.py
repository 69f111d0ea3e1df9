"""Linked options are refused wherever they are given, and a class that is named again starts from its defaults."""

from pathlib import Path
from typing import Any

import pytest

from ee_lightning.errors import OptionError
from ee_lightning.fit.command import LINKED, FitOptionsParser

CONFIGS = Path(__file__).parents[2] / "configs"
BASE = ["--data.task=sst2", "--model.backbone=somewhere"]
VALUES = {"data.seed": 5, "data.tokenizer": "x", "model.num_classes": 5, "model.multi_label": True, "model.metrics": []}


@pytest.fixture(scope="module")
def parser() -> FitOptionsParser:
    return FitOptionsParser()


@pytest.mark.parametrize("way", ["flag", "file", "group"])
@pytest.mark.parametrize("option", LINKED)
def test_a_linked_option_is_refused(option: str, way: str, parser: FitOptionsParser) -> None:
    group, _, name = option.partition(".")
    value = str(VALUES[option]).lower()
    Path("mine.yaml").write_text(f"{group}:\n  {name}: {value}\n")
    given = {
        "flag": [f"--{option}={value}"],
        "file": ["--config=mine.yaml"],
        "group": [f"--{group}={{{name}: {value}}}"],
    }
    with pytest.raises(OptionError, match=f"{option} is taken from {LINKED[option]}") as caught:
        parser.resolve([*BASE, *given[way]])
    assert f"leave {option} out" in str(caught.value.hint)


def _objective(parser: FitOptionsParser, *options: str) -> dict[str, Any]:
    objective: dict[str, Any] = parser.resolve([*BASE, *options])["model"]["objective"]
    return objective


PABEE = f"--config={CONFIGS / 'methods/pabee.yaml'}"
OURS = f"--config={CONFIGS / 'methods/ours.yaml'}"


@pytest.mark.parametrize("second", [OURS, "--model.objective=EnsembleObjective"])
def test_another_class_starts_from_its_own_defaults(
    second: str, parser: FitOptionsParser, caplog: pytest.LogCaptureFixture
) -> None:
    objective = _objective(parser, PABEE, second)
    assert objective == _objective(parser, "--model.objective=EnsembleObjective")
    told = "EnsembleObjective starts from its own defaults: layer_weights=linear, given for JointObjective, is left out"
    assert [record.message for record in caplog.records] == [told]


def test_what_is_given_with_or_after_the_other_class_counts(parser: FitOptionsParser) -> None:
    after = _objective(parser, PABEE, "--model.objective=EnsembleObjective", "--model.objective.layer_weights=linear")
    assert after["init_args"]["layer_weights"] == "linear"
    spelt = "{class_path: EnsembleObjective, init_args: {diversity_weight: 0.3}}"
    given = _objective(parser, PABEE, f"--model.objective={spelt}")["init_args"]
    assert (given["layer_weights"], given["diversity_weight"]) == ("equal", 0.3)


def test_the_same_class_named_again_keeps_its_options(
    parser: FitOptionsParser, caplog: pytest.LogCaptureFixture
) -> None:
    again = "--model.objective=ee_lightning.training.objectives.joint.JointObjective"
    assert _objective(parser, PABEE, again)["init_args"]["layer_weights"] == "linear"
    assert not caplog.records


def test_criteria_of_another_class_start_from_their_own_defaults(parser: FitOptionsParser) -> None:
    first = "--sweep.criteria=[{class_path: ee_lightning.exits.Confidence, init_args: {fallback: most_confident}}]"
    second = "--sweep.criteria=[ee_lightning.exits.Voting]"
    criteria = parser.resolve([*BASE, first, second])["sweep"]["criteria"]
    assert criteria == [
        {"class_path": "ee_lightning.exits.Voting", "init_args": {"k": 0.75, "fallback": "last"}},
    ]
