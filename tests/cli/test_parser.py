"""Linked options are refused wherever they are given, and a class that is named again starts from its defaults."""

import sys
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.cli import LightningArgumentParser

from ee_lightning.errors import OptionError
from ee_lightning.fit.command import FitOptionsParser
from ee_lightning.fit.options_parser import LINKED
from ee_lightning.fit.parsing import whole_numbers_first

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


@pytest.mark.parametrize(
    ("backbone", "given", "pooling", "head_rate"),
    [
        ("packaged:all-minilm-l6-v2", [], "mean", 2e-4),
        ("packaged:all-minilm-l6-v2", ["--model.optimization.learning_rate=5e-5"], "mean", 5e-4),
        ("packaged:all-minilm-l6-v2", ["--model.optimization.head_learning_rate=1e-4"], "mean", 1e-4),
        ("packaged:all-minilm-l6-v2", ["--model.heads.pooling=mean"], "mean", None),
        ("google-bert/bert-base-uncased", [], "cls", None),
        ("encoder", [], "mean", 2e-4),
    ],
)
def test_heads_suit_the_backbone_unless_their_pooling_is_given(
    backbone: str, given: list[str], pooling: str, head_rate: float | None, parser: FitOptionsParser
) -> None:
    Path("encoder/1_Pooling").mkdir(parents=True)
    Path("encoder/1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
    model = parser.resolve(["--data.task=sst2", f"--model.backbone={backbone}", *given])["model"]
    assert model["heads"]["pooling"] == pooling
    assert model["optimization"]["head_learning_rate"] == (head_rate and pytest.approx(head_rate))


@pytest.mark.parametrize(
    ("given", "epochs"),
    [
        ([], 3),
        (["--trainer.max_steps=9"], None),
        (["--trainer.max_epochs=5"], 5),
        (["--trainer.max_time=00:01:00:00"], 3),  # a schedule can't follow a time
    ],
)
def test_three_epochs_unless_an_end_is_given(given: list[str], epochs: int | None, parser: FitOptionsParser) -> None:
    assert parser.resolve([*BASE, *given])["trainer"]["max_epochs"] == epochs


@pytest.mark.parametrize("named", [["--config=demo"], ["--config", "configs/demo.yaml"], ["-c", "demo.yaml"]])
def test_shipped_configurations_are_found_by_name(named: list[str], parser: FitOptionsParser) -> None:
    assert parser.resolve(named) == parser.resolve([f"--config={CONFIGS / 'demo.yaml'}"])


def test_a_file_comes_before_a_shipped_configuration(parser: FitOptionsParser) -> None:
    Path("demo.yaml").write_text("data:\n  task: mine\n")
    assert parser.resolve([*BASE, "--config=tasks/rte"])["data"]["task"] == "rte"
    assert parser.resolve([*BASE, "--config=demo.yaml"])["data"]["task"] == "mine"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--model.objective=JontObjective", "ee_lightning.training.JointObjective"),
        ("--model.objective=ee_lightning.training.EnsembelObjective", "ee_lightning.training.EnsembleObjective"),
        ("--model.objective=ee_lightning.trainning.EnsembleObjective", "ee_lightning.training.EnsembleObjective"),
        ("--sweep.criteria=Votin", "ee_lightning.exits.Voting"),
        ("--model.heads.pooling=maen", "mean"),
        ("--sweep.criteria=[{class_path: ee_lightning.exits.Votin}]", "ee_lightning.exits.Voting"),
        ("--sweep.criteria=votin, patience", "ee_lightning.exits.Voting, ee_lightning.exits.Patience"),
        ("--trainer.callbacks=EarlyStoping", "lightning.pytorch.callbacks.EarlyStopping"),
        ("--model.objective=pabee", "--config pabee"),  # FPABEE is a criterion
        ("--model.labels.class_weights=balancd", "balanced"),
        ("--trainer.precision=bf17", "bf16"),
    ],
)
def test_a_misspelt_class_is_answered_by_the_one_that_was_meant(
    given: str, meant: str, parser: FitOptionsParser
) -> None:
    with pytest.raises(OptionError) as caught:
        parser.resolve([*BASE, given])
    assert f"did you mean {meant}?" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("given", "what", "hint"),
    [
        (
            ["--model.objective=JontObjective"],
            "model.objective is JontObjective, and there is no such class",
            "JointObj",
        ),
        (
            ["--sweep.criteria=[{class_path: ee_lightning.exits.Votin}]"],
            "sweep.criteria is Votin, and there is no such class in ee_lightning.exits",
            "did you mean ee_lightning.exits.Voting?",
        ),
        (
            ["--model.objective=own_loss.Mine"],
            "model.objective is own_loss.Mine, which can't be imported: No module named 'own_loss'",
            "in the working folder and on PYTHONPATH",
        ),
        (
            ["--model.objective=ee_lightning.exits.Voting"],
            "model.objective is ee_lightning.exits.Voting, which is no Objective",
            "--help",
        ),
        (["--trainer.max_epochs=many"], "trainer.max_epochs is many, where a whole number or null is needed", "--help"),
        (["--data.batch_size=1.5"], "data.batch_size is 1.5, where a whole number is needed", "--help"),
        (
            ["--model.objective=EnsembleObjective", "--model.objective.diversity_weight=many"],
            "diversity_weight of model.objective is many, where a number is needed",
            "--help",
        ),
        (
            ["--sweep.criteria=[{class_path: ee_lightning.exits.Patience, init_args: {tolerance: x}}]"],
            "tolerance of sweep.criteria is x, where a number or null is needed",
            "--help",
        ),
        (
            ["--trainer.callbacks=[{class_path: EarlyStopping, init_args: {monitor: val/loss, patience: x}}]"],
            "patience of trainer.callbacks is x, where a whole number is needed",
            "--help",
        ),
        (
            ["--model.heads.exits=3,6"],
            "model.heads.exits is 3,6, where every, last or a list of whole numbers is needed",
            "write a list as '[3,6]'",
        ),
        (
            ["--model.heads.exits=[3, x]"],
            "model.heads.exits is [3, 'x'], where every, last or a list of whole numbers is needed",
            "'ee-lightning fit --help'",
        ),
        (
            ["--data.metrics=macro_f1"],
            "data.metrics is macro_f1, where a list of texts or null is needed",
            "write a list as '[macro_f1]'",
        ),
        (["--model.objective=ours"], "model.objective is ours, and there is no such", "did you mean --config ours?"),
        (["--model.objective=rte"], "model.objective is rte, and there is no such class", "'ee-lightning fit --help'"),
        (
            ["--model.objective={class_path: ee_lightning.training.JointObjective, reduction: mean}"],
            "model.objective has other keys beside class_path and init_args",
            "under init_args",
        ),
        (
            ["--model.optimization.learning_rate.x=1"],
            "model.optimization.learning_rate is a single value and has no options, so 'x' can't be set",
            "--help",
        ),
        (["--data.own=nope"], "data.own is no mapping of options", "--data.own.label_column"),
        (
            ["--trainer.logger={class_path: CSVLogger, init_args: {nme: x}}"],
            "CSVLogger, the class of trainer.logger",
            "name?",
        ),
    ],
)
def test_a_wrong_class_or_value_is_one_line(given: list[str], what: str, hint: str, parser: FitOptionsParser) -> None:
    with pytest.raises(OptionError) as caught:
        parser.resolve([*BASE, *given])
    assert what in caught.value.what
    assert "\n" not in caught.value.what
    assert hint in str(caught.value.hint)
    assert "--config rte" not in str(caught.value.hint), "a task is no method"


OWN = """
from torch.nn import Dropout
from ee_lightning.training import JointObjective

class Plain(JointObjective):
    def __init__(self, depth: int = 1, **others):
        super().__init__(**others)

class Outer:
    class Bare(JointObjective):
        def __init__(self):
            super().__init__()

def make(rate: float = 1.0) -> JointObjective:
    return JointObjective()
"""


@pytest.mark.parametrize(
    ("named", "option", "hint"),
    [
        ("mine.Plain", "layer_wieghts", "did you mean layer_weights?"),
        ("mine.Plain", "p", "it has depth, layer_weights, reduction, gradient_equilibrium"),
        ("mine.Plain", "diversity_weight", "EnsembleObjective has it"),
        ("mine.Outer.Bare", "p", "it has no options"),
        ("mine.make", "rat", "did you mean rate?"),
    ],
)
def test_an_option_that_an_own_class_lacks_is_answered(
    named: str, option: str, hint: str, parser: FitOptionsParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    with pytest.raises(OptionError, match=f"the class of model.objective, has no option '{option}'") as caught:
        parser.resolve([*BASE, f"--model.objective={named}", f"--model.objective.{option}=1"])
    assert str(caught.value.hint).startswith(hint)


@pytest.mark.parametrize(("text", "read"), [("1", 1), ("1.0", 1.0), ("0.5", 0.5), ("null", None)])
def test_a_whole_number_stays_one_whichever_order_python_keeps_of_a_union(text: str, read: object) -> None:
    parser = LightningArgumentParser()
    parser.add_argument("--limit", type=float | int | None)
    assert repr(whole_numbers_first(parser).parse_args([f"--limit={text}"]).limit) == repr(read)


def test_one_batch_of_the_trainer_is_no_share(parser: FitOptionsParser) -> None:
    options = parser.resolve([*BASE, "--trainer.limit_val_batches=1", "--trainer.val_check_interval=0.5"])
    assert repr(options["trainer"]["limit_val_batches"]) == "1"
    assert options["trainer"]["val_check_interval"] == 0.5
