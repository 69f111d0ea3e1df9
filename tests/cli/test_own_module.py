"""A data module of your own, from a file outside the package through all commands and from Python."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger

from ee_lightning.cli import main
from ee_lightning.data.custom import ModuleTask
from ee_lightning.errors import OptionError
from ee_lightning.exits import Voting
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.training import EarlyExitModule, EnsembleObjective

RUN = Path("runs/run/version_0")
Run = Callable[..., int]


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the example and its rows into the working folder, as files of a user that were not imported yet."""
    shutil.copy(Path(__file__).parents[2] / "examples/own_data.py", "own_data.py")
    Path("rows.csv").write_text("text,label\n" + "a good film,yes\na bad film,no\nthe plot,yes\n" * 12)
    monkeypatch.syspath_prepend(Path.cwd())
    yield
    sys.modules.pop("own_data", None)


@pytest.fixture
def options(small: dict[str, object]) -> dict[str, object]:
    """Return options for a run on the user's rows with the small encoder."""
    kept = {name: value for name, value in small.items() if not name.startswith("data.")}
    return {"data": "own_data.OwnData", "data.file": "rows.csv", **kept}


def command(*given: object) -> int:
    sys.modules.pop("own_data", None)
    return main([str(option) for option in given])


def test_it_goes_from_training_to_a_saved_model(
    run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", **options) == 0
    assert "OwnData validation: 8 samples, 3 exits" in capfd.readouterr().out
    assert command("fit", "--config", RUN / "config.yaml", "--ckpt_path", "last") == 0
    assert "this run is finished" in capfd.readouterr().out
    assert command("validate", "--ckpt_path", next(RUN.glob("checkpoints/epoch=*.ckpt"))) == 0
    assert command("curves", RUN, "--criteria", "voting") == 0
    assert command("choose", RUN, "--criterion", "confidence", "--min-speedup", 1.2) == 0
    Path("new.csv").write_text("text\na good plot\na bad film\n")
    Path("own_data.py").unlink()  # a run, and a model of it, know their task without the class
    assert command("predict", RUN, "--input", "new.csv", "--output", "of-run.csv") == 0
    assert command("save", RUN, "model") == 0
    shutil.rmtree("runs")
    assert command("predict", "model", "--input", "new.csv", "--output", "of-model.csv") == 0
    predicted = [pd.read_csv(file)["label"].tolist() for file in ("of-run.csv", "of-model.csv")]
    assert predicted[0] == predicted[1]
    assert {*predicted[0]} <= {"no", "yes"}
    deployed = EarlyExitPredictor.from_pretrained("model").deployment
    assert (deployed.task, deployed.text_columns, deployed.max_length) == ("OwnData", ("text",), 64)


def test_rows_of_its_own_are_asked_for(run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    assert run("fit", **options) == 0
    assert command("choose", RUN, "--criterion", "confidence", "--min-speedup", 1.2) == 0
    assert command("predict", RUN, "--output", "of-run.csv") == 1
    printed = capfd.readouterr().err
    assert "the run's rows are read by its own data module, OwnData" in printed
    assert "--input FILE" in printed


VALIDATES = "return DataLoader(self.validation, self.batch_size, collate_fn=self.batch_of)"
MISTAKES = {
    "no number of classes": (
        "self.num_classes, self.max_length = 2, 64",
        "pass",
        r"error: OwnData.num_classes is None\n  where: OwnData\n  hint:  in its __init__[^\n]*\n$",
    ),
    "too few words": ('["no", "yes"]', '["no", "yes", "so"]', r"label_names holds 3 words, and num_classes is 2"),
    "no labels": (
        '"labels": labels, ',
        "",
        r"a batch lacks labels\n  where: a batch with .*input_ids[\s\S]*ids \[batch\]",
    ),
    "no ids": ('"ids": ', '"numbers": ', r"a batch lacks ids\n[\s\S]*labels \[batch\]"),
    "ids within a batch": (
        "torch.tensor([number for number, _ in rows])",
        "torch.arange(len(rows)) * 0",
        r"8 rows have only 1 different ids\n  where: the batches of the validation split",
    ),
    "no validation loader": ("def val_dataloader", "def other", r"there are no validation data\n  where: OwnData"),
    "no validation loaders": (VALIDATES, "return []", r"there are no validation data\n  where: OwnData"),
}


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`", "ignore:Total length of `list` across ranks")
@pytest.mark.parametrize("case", MISTAKES)
def test_what_it_lacks_is_one_error(
    case: str, run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    old, new, expected = MISTAKES[case]
    source = Path("own_data.py").read_text().replace("len(self.label_names), 64", "2, 64")
    assert source.count(old) == 1
    Path("own_data.py").write_text(source.replace(old, new))
    assert run("fit", **options) == 1
    printed = capfd.readouterr().err
    assert re.search(expected, printed), printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"data": "own_data.OwnDat"},
            r"OwnDat can't be made: .*no attribute 'OwnDat'[\s\S]*as in --data own_data.OwnData",
        ),
        ({"data": "own_data.OwnData"}, r"OwnData can't be made: the following arguments are required: file"),
    ],
)
def test_a_class_that_can_not_be_made_is_one_error(
    given: dict[str, object], expected: str, run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    kept = {name: value for name, value in options.items() if not name.startswith("data")}
    assert run("fit", **given, **kept) == 1
    assert re.match(rf"error: the data module own_data\.{expected}", capfd.readouterr().err)


def test_attributes_that_are_left_out_have_usual_values() -> None:
    task = ModuleTask.of(SimpleNamespace(num_classes=3))
    assert (task.label_names, task.metrics, task.text_columns) == (("0", "1", "2"), ("accuracy",), ("text",))
    value = ModuleTask.of(SimpleNamespace(num_classes=1)).as_task()
    assert (value.label_names, value.metrics, value.num_classes) == ((), ("pearson", "spearman"), 1)
    sets = ModuleTask.of(SimpleNamespace(num_classes=2, multi_label=True)).as_task()
    assert (sets.multi_label, sets.metrics[0]) == (True, "micro_f1")
    for wrong in ({"metrics": ["bleu"]}, {"text_columns": ["a", "b", "c"]}, {"num_classes": 0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            ModuleTask.of(SimpleNamespace(**{"num_classes": 2, **wrong}))


def test_its_name_may_follow_its_options(options: dict[str, object]) -> None:
    given = [f"--{name}={value}" for name, value in options.items() if name != "data"]
    assert main(["fit", *given, "--data", "own_data.OwnData", "--trainer.fast_dev_run=true"]) == 0


def test_it_trains_from_python(tiny_backbone: Path) -> None:
    from own_data import OwnData

    data = OwnData("rows.csv", str(tiny_backbone))
    model = EarlyExitModule(str(tiny_backbone), data.num_classes, ["accuracy"], objective=EnsembleObjective())
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "log_every_n_steps": 1}
    logger = CSVLogger("runs", name="from-python")
    trainer = Trainer(max_epochs=1, logger=logger, callbacks=[ExitSweep([Voting()])], **quiet)
    trainer.fit(model, data)
    trainer.validate(model, data)
    assert command("curves", trainer.log_dir, "--criteria", "voting,patience") == 0
    assert command("choose", trainer.log_dir, "--criterion", "patience", "--min-speedup", 1.2) == 0
    predictor = EarlyExitPredictor.from_module(model, criterion="patience", threshold=2)
    of_run = EarlyExitPredictor.from_run(trainer.log_dir, criterion="patience", threshold=2)
    assert predictor(["a good film", "a bad one"]) == of_run(["a good film", "a bad one"])
    assert predictor.deployment == of_run.deployment
