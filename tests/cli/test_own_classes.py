"""Classes of your own, from a file outside the package through all commands."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from ee_lightning.cli import main
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits.naming import spec_of
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.models.backbones import FAMILIES
from ee_lightning.scoring import BatchScorer

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = "own_criterion.RecentMean(decay=0.8)"
RUN = Path("runs/run/version_0")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the examples into the working folder, as files of a user that were not imported yet."""
    for file in EXAMPLES.glob("own_*.py"):
        shutil.copy(file, file.name)
    monkeypatch.syspath_prepend(Path.cwd())
    yield
    forget()


def forget() -> None:
    """Leave the modules as a process that starts finds them."""
    for name in ("own_criterion", "own_objective"):
        sys.modules.pop(name, None)


def command(*options: object) -> None:
    """Run a command as a process of its own would."""
    forget()
    assert main([str(option) for option in options]) == 0


@pytest.mark.usefixtures("own")
def test_the_examples_go_from_training_to_a_saved_model(
    run: Callable[..., int], small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path("own.yaml")
    own.write_text(
        "model:\n  objective:\n    class_path: own_objective.EarlyFirstObjective\n    init_args: {rate: 2}\n"
        "sweep:\n  criteria:\n  - class_path: own_criterion.RecentMean\n    init_args: {decay: 0.8}\n"
    )
    assert run("fit", own, **small) == 0
    assert main(["speed", str(RUN)]) == 1
    assert "no name makes the criteria that the run swept: recent_mean(decay=0.8)" in capsys.readouterr().err
    command("curves", RUN, "--criteria", f"{OWN},voting,own_criterion.RecentMean")
    swept = set(pd.read_csv(RUN / "curves.csv")["criterion"])
    assert swept == {"recent_mean(decay=0.8)", "recent_mean", "voting", "oracle", "fixed"}
    command("choose", RUN, "--criterion", OWN, "--min-speedup", 1.2)
    point = json.loads((RUN / "operating_point.json").read_text())
    assert point["criterion"] == {"class_path": "own_criterion.RecentMean", "init_args": {"decay": 0.8}, "fitted": {}}
    command("speed", RUN, "--criterion", OWN, "--speedups", 1.5, "--batch-sizes", 1, "--repeats", 2, "--max-samples", 4)
    assert "recent_mean(decay=0.8)" in set(pd.read_csv(RUN / "speed.csv")["criterion"])
    capsys.readouterr()
    forget()
    submit = ["submit", str(RUN), "--output", "out"]
    assert main(submit) == 1
    assert "--criterion own_criterion.RecentMean" in capsys.readouterr().err
    assert main([*submit, "--criterion", "own_criterion.RecentMean"]) == 1
    assert "SST-2.tsv needs 1821 rows" in capsys.readouterr().err

    Path("texts.csv").write_text("sentence\na gripping film\na dull one\n")
    command("save", RUN, "saved", "--criterion", OWN)
    saved = json.loads(Path("saved/early_exit.json").read_text())["rule"]
    assert saved["criterion"] == point["criterion"]
    assert saved["threshold"] == point["threshold"]
    assert saved["operating_point"] is not None
    files = []
    for model in (RUN, "saved"):
        files.append(Path(f"of-{Path(model).name}.csv"))
        command("predict", model, "--criterion", OWN, "--input", "texts.csv", "--output", files[-1])
    assert files[0].read_text() == files[1].read_text()

    forget()
    with pytest.raises(
        RunFolderError, match=r"reading a file imports nothing\n.*\n  hint:  import own_criterion beforehand"
    ):
        EarlyExitPredictor.from_pretrained("saved")
    own_criterion = import_module("own_criterion")

    predictor = EarlyExitPredictor.from_pretrained("saved")
    by_name = predictor("a gripping film")
    assert predictor.engine.criterion.name == "recent_mean(decay=0.8)"
    threshold = point["threshold"]
    instance = EarlyExitPredictor.from_run(RUN, criterion=own_criterion.RecentMean(0.8), threshold=threshold)
    assert instance("a gripping film") == by_name
    with pytest.raises(OptionError, match="without a threshold"):
        EarlyExitPredictor.from_run(RUN, criterion=own_criterion.RecentMean(0.7))


ADAPTER = """
from ee_lightning.models.backbones import BertBackbone

class LoudBackbone(BertBackbone):
    families = ("bert",)

    def embedding(self, input_ids, padding_mask, token_type_ids):
        return 2 * super().embedding(input_ids, padding_mask, token_type_ids)
"""


def test_an_own_adapter_goes_from_training_to_a_saved_model(
    run: Callable[..., int],
    small: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("own_family.py").write_text(ADAPTER)
    monkeypatch.syspath_prepend(Path.cwd())
    ours = FAMILIES["bert"]
    monkeypatch.setitem(FAMILIES, "bert", ours)

    def forget() -> None:
        sys.modules.pop("own_family", None)
        FAMILIES["bert"] = ours

    adapter = ["--adapter", "own_family.LoudBackbone"]
    rule = ["--criterion", "confidence", "--threshold", "0.5"]
    Path("texts.csv").write_text("sentence\na gripping film\na dull one\n")
    assert run("fit", **small, **{"model.adapter": "own_family.LoudBackbone"}) == 0
    forget()
    assert run("validate", RUN / "config.yaml", ckpt_path=RUN / "checkpoints/last.ckpt") == 0
    predict = ["predict", str(RUN), "--input", "texts.csv", *rule]
    forget()
    assert main([*predict, "--output", "of-run.csv"]) == 1
    assert (
        "import own_family beforehand, or on the command line name it with --adapter own_fam" in capsys.readouterr().err
    )
    assert main([*predict, "--output", "of-run.csv", *adapter]) == 0
    forget()
    assert main(["report", str(RUN)]) == 1
    assert main(["report", str(RUN), *adapter]) == 0
    page = (RUN / "report.html").read_text()
    assert f"ee-lightning report {RUN} --adapter own_family.LoudBackbone" in page
    assert "Floating-point operations are not known" not in page
    forget()
    scorer = BatchScorer(str(RUN), criterion="confidence", threshold=0.5, adapter="own_family.LoudBackbone")
    assert scorer(pd.read_csv("texts.csv"))["score"].tolist() == pytest.approx(
        pd.read_csv("of-run.csv")["score"].tolist()
    )
    forget()
    assert main(["save", str(RUN), "saved", *rule, *adapter]) == 0
    assert main(["predict", "saved", "--input", "texts.csv", "--output", "of-saved.csv"]) == 0
    assert Path("of-run.csv").read_text() == Path("of-saved.csv").read_text()
    forget()
    with pytest.raises(
        RunFolderError, match=r"reading a file imports nothing\n.*\n  hint:  import own_family beforehand"
    ):
        EarlyExitPredictor.from_pretrained("saved")
    import_module("own_family")
    assert EarlyExitPredictor.from_pretrained("saved").model.backbone.__class__.__name__ == "LoudBackbone"
    assert main([*predict, "--output", "no.csv", "--adapter", "own_family.LoudBackbon"]) == 1
    assert "there is no adapter own_family.LoudBackbon: own_family has no LoudBackbon" in capsys.readouterr().err


BROKEN = """
from ee_lightning.exits import Criterion
from ee_lightning.training import Objective, ObjectiveTerms


class Loose(Criterion):
    def step(self, output, state):
        return output.predictions


class Stepless(Criterion):
    pass


class Forwardless(Objective):
    pass


class Bare(Objective):
    def forward(self, output, labels, progress):
        return output.logits.mean()


class PerExit(Objective):
    def forward(self, output, labels, progress):
        return ObjectiveTerms(output.logits.mean((1, 2)), {})


class Detached(Objective):
    def forward(self, output, labels, progress):
        return ObjectiveTerms(output.logits.detach().mean(), {})


class Foreign:
    pass
"""


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        (
            "criteria",
            "Loose",
            "Loose.step returns torch.int64 of shape [2], [0, 0], as result\n  where: own_criterion\n",
        ),
        ("criteria", "Stepless", "Stepless lacks the method step\n"),
        ("objective", "Forwardless", "Forwardless lacks the method forward\n"),
        (
            "objective",
            "Bare",
            "Bare.forward returns a Tensor\n  where: own_criterion\n  hint:  forward(output, labels, ",
        ),
        ("objective", "PerExit", "PerExit.forward returns a Tensor of shape [3] as loss\n"),
        ("objective", "Detached", "Detached.forward returns a loss without gradient\n"),
    ],
)
def test_a_class_that_breaks_the_contract_is_told_before_training(
    option: str,
    name: str,
    said: str,
    run: Callable[..., int],
    small: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("own_criterion.py").write_text(BROKEN)
    config = Path("own.yaml")
    entry = f"class_path: own_criterion.{name}"
    config.write_text(
        f"sweep: {{criteria: [{{{entry}}}]}}" if option == "criteria" else f"model: {{objective: {{{entry}}}}}"
    )
    assert run("fit", config, **small) == 1
    assert f"error: {said}" in capsys.readouterr().err
    assert not list(RUN.glob("checkpoints/*"))


@pytest.mark.usefixtures("own")
def test_a_class_that_is_no_criterion_is_not_proposed_for_itself() -> None:
    Path("own_criterion.py").write_text(BROKEN)
    with pytest.raises(OptionError, match=r"Foreign is no subclass[\s\S]*hint:  give the full name") as raised:
        spec_of("own_criterion.Foreign")
    assert "did you mean" not in str(raised.value)
