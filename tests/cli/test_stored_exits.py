"""curves and choose: a run folder's stored exits answered without a model."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.cli import main
from ee_lightning.exits import CRITERIA, Fitted, StoredExits, trace_curve
from ee_lightning.functional import telling_points
from ee_lightning.reporting import write_sweep
from ee_lightning.runs.folder import CALIBRATION, RunFolder
from ee_lightning.runs.operating_point import Asked, OperatingPoint

FITTED = {name for name, kind in CRITERIA.items() if issubclass(kind, Fitted)}


def _exits(num_samples: int, seed: int) -> StoredExits:
    """Four exits of three classes, each surer and more often right than the one before."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (num_samples,), generator=generator)
    signal = torch.nn.functional.one_hot(labels, 3) * torch.tensor([0.5, 1.0, 2.0, 3.0]).view(4, 1, 1)
    return StoredExits(signal + torch.randn(4, num_samples, 3, generator=generator), labels, torch.arange(num_samples))


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder as `validate` leaves it, without checkpoints, which no test changes."""
    run = RunFolder(tmp_path_factory.mktemp("validated") / "one")
    exits = _exits(400, 0)
    run.write_exits("validation", exits)
    methods = [CRITERIA["voting"]()]
    write_sweep(
        run, sweep_exits(methods, exits, None, split="validation", task="own", metrics=["accuracy", "matthews"])
    )
    return run.path


@pytest.fixture
def folder(validated: Path) -> RunFolder:
    """Return a copy of it in the working folder."""
    return RunFolder(shutil.copytree(validated, Path("runs/one")))


def test_every_criterion_that_applies_is_replayed(folder: RunFolder) -> None:
    (folder.path / "curves.png").unlink()
    assert main(["curves", str(folder.path)]) == 0
    curves = pd.read_csv(folder.path / "curves.csv")
    assert set(curves["criterion"]) == set(CRITERIA) - FITTED - {"gate", "q_exit", "cap"}
    assert {"accuracy", "matthews"} <= set(curves.columns)
    assert (folder.path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder.path / "fitted.json").exists()


def test_held_out_rows_let_the_rest_be_fitted_and_are_not_reported(folder: RunFolder) -> None:
    folder.write_exits(CALIBRATION, _exits(200, 1))
    assert main(["curves", str(folder.path)]) == 0
    curves = pd.read_csv(folder.path / "curves.csv")
    assert set(curves["criterion"]) == set(CRITERIA) - {"gate", "q_exit", "cap"}
    assert set(curves["split"]) == {"validation"}
    assert set(json.loads((folder.path / "fitted.json").read_text())["validation"]) == FITTED


def test_regression_is_replayed_by_the_criteria_that_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = 5 * torch.rand(300, generator=generator)
    values = labels + torch.tensor([2.0, 1.0, 0.5]).view(3, 1) * torch.randn(3, 300, generator=generator)
    gate = torch.rand(3, 300, generator=generator)
    run, exits = RunFolder("runs/values"), StoredExits(values.unsqueeze(-1), labels, torch.arange(300), {"gate": gate})
    run.write_exits("validation", exits)
    found = sweep_exits(
        [CRITERIA["gate"]()], exits, None, split="validation", task="own", metrics=["pearson", "spearman"]
    )
    write_sweep(run, found)
    assert main(["curves", str(run.path)]) == 0
    assert set(pd.read_csv(run.path / "curves.csv")["criterion"]) == {"gate", "q_exit", "fixed"}
    assert main(["curves", str(run.path), "--criteria", "patience(tolerance=0.5),gate"]) == 0
    assert set(pd.read_csv(run.path / "curves.csv")["criterion"]) == {"patience(tolerance=0.5)", "gate", "fixed"}
    assert "oracle" not in capsys.readouterr().out
    summary = run.read_summary()["validation"]
    assert summary["oracle"] is None
    expected = [torch.corrcoef(torch.stack([value, labels]))[0, 1].item() for value in values]
    assert summary["exits"]["pearson"] == pytest.approx(expected)


def test_several_labels_are_replayed_by_the_criteria_that_know_them() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (200, 3), generator=generator)
    logits = torch.arange(1, 4).view(-1, 1, 1) * (labels - 0.5) + torch.randn(3, 200, 3, generator=generator)
    run, exits = RunFolder("runs/labels"), StoredExits(logits, labels, torch.arange(200), multi_label=True)
    run.write_exits("validation", exits)
    run.write_exits(CALIBRATION, exits)  # for criteria that are fitted, of which one alone judges several labels
    found = sweep_exits(
        [CRITERIA["voting"]()], exits, None, split="validation", task="own", metrics=["micro_f1", "exact_match"]
    )
    write_sweep(run, found)
    assert main(["curves", str(run.path)]) == 0
    curves = pd.read_csv(run.path / "curves.csv")
    known = {"voting", "patience", "confidence", "entropy", "scheduled_confidence"}
    assert set(curves["criterion"]) == known | {"fixed", "oracle"}
    summary = run.read_summary()["validation"]
    expected = [(said == labels).all(-1).double().mean().item() for said in logits > 0]
    assert summary["exits"]["exact_match"] == pytest.approx(expected)
    assert summary["oracle"]["exact_match"] > max(expected)
    assert main(["curves", str(run.path), "--criteria", "margin"]) == 1
    assert main(["choose", str(run.path), "--criterion", "confidence", "--max-loss", "2"]) == 0
    point = OperatingPoint.read(run.path)
    assert point.asked.metric == "micro_f1"


def test_every_split_is_in_the_table_and_in_the_picture(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder.path / "curves.png").stat().st_size
    folder.write_exits("test", _exits(100, 2))
    (folder.path / "summary.json").write_text(
        json.dumps(dict.fromkeys(("validation", "test"), folder.read_summary()["validation"]))
    )
    assert main(["curves", str(folder.path), "--criteria", "voting"]) == 0
    curves = folder.read_curves()
    assert set(curves) == {"validation", "test"}
    exits = folder.read_exits("test")
    voting = trace_curve(CRITERIA["voting"](), exits, ["accuracy", "matthews"])
    told = telling_points(voting.mean_exit, list(voting.scores.values()))
    assert curves["test"][0].criterion == "voting"
    assert curves["test"][0].num_layers == 4
    for found, expected in (
        (curves["test"][0].thresholds, voting.thresholds),
        (curves["test"][0].mean_exit, voting.mean_exit),
        (curves["test"][0].scores["accuracy"], voting.scores["accuracy"]),
    ):
        assert torch.equal(found, expected[told])
    assert main(["curves", str(folder.path), "--criteria", "voting", "--all-points"]) == 0
    assert main(["curves", str(folder.path), "--all-points", "--exits", "1,2,3"]) == 1
    assert "--all-points is for curves.csv" in capsys.readouterr().err
    assert torch.equal(folder.read_curves()["test"][0].thresholds, voting.thresholds)
    assert (folder.path / "curves.png").stat().st_size > 1.3 * before


def test_named_criteria_take_options(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curves", str(folder.path), "--criteria", "voting(k=0.5, fallback=majority),patience"]) == 0
    names = set(pd.read_csv(folder.path / "curves.csv")["criterion"])
    assert names == {"voting(k=0.5, fallback=majority)", "patience", "oracle", "fixed"}
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_curves_need_neither_lightning_nor_transformers(folder: RunFolder) -> None:
    code = (
        "import sys; from ee_lightning.cli import main; status = main(['curves', sys.argv[1]]); "
        "sys.exit(status or 'lightning' in sys.modules or 'transformers' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(folder.path)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_diagnostics_stand_beside_the_figures(folder: RunFolder) -> None:
    found = json.loads((folder.path / "diagnostics.json").read_text())["validation"]
    summary = folder.read_summary()["validation"]
    gap = summary["oracle"]["accuracy"] - summary["full_model"]["accuracy"]
    assert found["overthinking"] == pytest.approx(gap)
    assert sum(found["exit_histograms"]["voting"]["1.5x"]["samples"]) == 400


@pytest.mark.parametrize("budget", ["--min-speedup=1.5", "--max-loss=5", "--consistency=0.8"])
@pytest.mark.parametrize("guarantee", [[], ["--guarantee=0.9"]])
def test_choice_is_saved_and_printed(
    budget: str, guarantee: list[str], folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["choose", str(folder.path), "--criterion", "soft_voting", budget, *guarantee]) == 0
    printed = capsys.readouterr().out
    point = OperatingPoint.read(folder.path)
    assert f"threshold {point.threshold:g}, chosen" in printed
    assert f"{point.reached['speedup'].value:.2f}x" in printed
    assert (point.guarantee is not None) == bool(guarantee)
    assert point.chosen_on + point.measured_on == 400
    assert point.criterion.build().name == "soft_voting"


def test_rows_that_nothing_was_selected_on_can_choose(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_exits(CALIBRATION, _exits(300, 1))
    choose = ["choose", str(folder.path), "--criterion", "voting", "--min-speedup", "1.2"]
    assert main([*choose, "--split", "calibration", "--guarantee", "0.9"]) == 0
    assert "warning: fit keeps" not in capsys.readouterr().out
    point = OperatingPoint.read(folder.path)
    assert (point.asked.split, point.chosen_on + point.measured_on) == ("calibration", 300)
    assert main([*choose, "--guarantee", "0.9"]) == 0
    assert "warning: fit keeps the checkpoint that scores best on the validation split" in capsys.readouterr().out
    assert main(choose) == 0
    assert "warning: fit keeps" not in capsys.readouterr().out


def test_choice_of_a_fitted_criterion_keeps_what_it_learnt(folder: RunFolder) -> None:
    folder.write_exits(CALIBRATION, _exits(200, 1))
    assert main(["choose", str(folder.path), "--criterion", "calibrated_confidence", "--min-speedup", "1.5"]) == 0
    criterion = OperatingPoint.read(folder.path).criterion.build()
    assert isinstance(criterion, Fitted)
    expected = CRITERIA["calibrated_confidence"]()
    assert isinstance(expected, Fitted)
    expected.fit(_exits(200, 1))
    assert criterion.fitted == expected.fitted


def test_what_was_learnt_by_criteria_that_are_gone_is_gone(folder: RunFolder) -> None:
    folder.write_exits(CALIBRATION, _exits(200, 1))
    assert main(["curves", str(folder.path), "--criteria", "conformal"]) == 0
    assert set(json.loads((folder.path / "fitted.json").read_text())["validation"]) == {"conformal"}
    assert main(["curves", str(folder.path), "--criteria", "voting"]) == 0
    assert "validation" not in json.loads((folder.path / "fitted.json").read_text())


def test_lists_among_the_options_and_names_from_the_tables_are_read(folder: RunFolder) -> None:
    for given in ("beem(weights=[1,0.5,2,0]),voting", "voting, beem(weights=[1, 0.5, 2, 0])"):
        assert main(["curves", str(folder.path), "--criteria", given]) == 0
        names = set(pd.read_csv(folder.path / "curves.csv")["criterion"])
        assert names == {"beem(weights=[1, 0.5, 2, 0])", "voting", "oracle", "fixed"}


@pytest.mark.parametrize(("given", "expected"), [([], "accuracy"), (["--metric", "matthews"], "matthews")])
def test_the_metric_is_the_primary_one_or_the_one_asked_for(given: list[str], expected: str, folder: RunFolder) -> None:
    folder.write_exits(CALIBRATION, _exits(300, 1))
    for split in ("validation", "calibration"):
        choose = ["choose", str(folder.path), "--criterion", "soft_voting", "--max-loss", "5", "--split", split]
        assert main([*choose, *given]) == 0
        assert OperatingPoint.read(folder.path).asked.metric == expected


def test_a_point_names_its_criterion_by_its_public_path(folder: RunFolder) -> None:
    assert main(["choose", str(folder.path), "--criterion", "soft_voting", "--min-speedup", "1.5"]) == 0
    assert OperatingPoint.read(folder.path).criterion.class_path == "ee_lightning.exits.SoftVoting"


def test_help_tells_what_voids_a_guarantee(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["choose", "--help"])
    assert "trying other seeds, budgets or criteria" in " ".join(capsys.readouterr().out.split())


def test_options_of_a_criterion_are_options_of_the_command(folder: RunFolder) -> None:
    command = ["curves", str(folder.path), "--criteria", "voting,voting(fallback=majority),beem", "--voting.k=0.5"]
    assert main([*command, "--beem.weights=[1, 0.5, 2, 0]"]) == 0
    names = set(pd.read_csv(folder.path / "curves.csv")["criterion"]) - {"oracle", "fixed"}
    assert names == {"voting(k=0.5)", "voting(k=0.5, fallback=majority)", "beem(weights=[1, 0.5, 2, 0])"}


VOTING = ["choose", "{run}", "--criterion", "voting", "--max-loss", "1"]
MISTAKES = {
    "unknown criterion": (["curves", "{run}", "--criteria", "vote"], r"'vote'[\s\S]*hint:.*voting"),
    "unreadable criteria": (["curves", "{run}", "--criteria", "voting(k="], r"voting\(k=[\s\S]*hint:"),
    "unknown option of a criterion": (["curves", "{run}", "--criteria", "voting(q=1)"], r"q[\s\S]*hint:"),
    "senseless option of a criterion": (["curves", "{run}", "--criteria", "voting(k=-1)"], r"k=-1[\s\S]*hint:"),
    "no criteria": (["curves", "{run}", "--criteria", ""], r"no criterion is given[\s\S]*hint:.*voting"),
    "no criterion": (
        ["choose", "{run}", "--criterion", " ", "--max-loss", "1"],
        r"can't be read|no criterion is given",
    ),
    "brace": (["curves", "{run}", "--criteria", "voting(k={)"], r"'k=\{'[\s\S]*hint:  write voting\(option=value\)"),
    "open list": (["curves", "{run}", "--criteria", "beem(weights=[1,2)"], r"weights=\[1,2[\s\S]*hint:"),
    "option twice": (["curves", "{run}", "--criteria", "voting(k=1,k=2)"], r"k is given twice"),
    "word for a number": (
        ["curves", "{run}", "--criteria", "voting(k=abc)"],
        r"Voting got k='abc'[\s\S]*Voting.k[\s\S]*k: float = 0.75, fallback: Literal\['last', 'majority'\] = 'last'",
    ),
    "option of another name": (["curves", "{run}", "--criteria", "voting(j=1)"], r"Voting got j=1[\s\S]*k: float"),
    "broken patience": (["curves", "{run}", "--criteria", "pcee(patience=1.5)"], r"patience=1.5[\s\S]*: int = 2"),
    "patience of true": (["curves", "{run}", "--criteria", "pcee(patience=true)"], r"patience='true'[\s\S]*: int = 2"),
    "patience of True": (["curves", "{run}", "--criteria", "pcee(patience=True)"], r"patience=True[\s\S]*: int = 2"),
    "option of a criterion left out": (
        ["curves", "{run}", "--criteria", "patience", "--voting.k=0.5"],
        r"--voting.k is given, but not the criterion voting[\s\S]*hint:",
    ),
    "option of all criteria": (
        ["curves", "{run}", "--voting.k=0.5"],
        r"but not the criterion voting[\s\S]*--criteria voting",
    ),
    "no option of the criterion": (
        ["curves", "{run}", "--criteria", "voting", "--voting.q=1"],
        r"--voting.q=1[\s\S]*hint:",
    ),
    "senseless dotted option": (["curves", "{run}", "--criteria", "voting", "--voting.k=a"], r"k='a'[\s\S]*k: float"),
    "dotted option that ends the list": (
        ["curves", "{run}", "--criteria", "voting", "--voting.k=1),patience("],
        r"2 criteria are given|can't be read",
    ),
    "huge exponent": (["curves", "{run}", "--criteria", "voting(k=1000)"], r"k=1000[\s\S]*hint:.*0 to 16"),
    "words for weights": (
        ["curves", "{run}", "--criteria", "beem(weights=[a])"],
        r"weights='\[a\]'[\s\S]*list\[float\]",
    ),
    "another number of weights": (["curves", "{run}", "--criteria", "beem(weights=[1,1,1])"], r"3 weights for 4 exits"),
    "criterion twice": (["curves", "{run}", "--criteria", "voting,voting"], r"same name: voting[\s\S]*hint:"),
    "nothing held out": (["curves", "{run}", "--criteria", "conformal"], r"conformal[\s\S]*--data.calibration"),
    "no gate": (["curves", "{run}", "--criteria", "gate"], r"gate[\s\S]*hint:"),
    "no run folder": (["curves", "nowhere"], r"nowhere[\s\S]*hint:"),
    "no run": (["curves"], r"RUN[\s\S]*ee-lightning curves --help"),
    "no budget": (
        ["choose", "{run}", "--criterion", "voting"],
        r"one budget is needed, such as --min-speedup or --max-loss[\s\S]*hint:",
    ),
    "two budgets": (
        ["choose", "{run}", "--criterion", "voting", "--max-loss", "1", "--min-speedup", "2"],
        r"one budget is needed, such as --min-speedup or --max-loss, and no two",
    ),
    "two criteria": (["choose", "{run}", "--criterion", "voting,patience", "--max-loss", "1"], r"one at a time"),
    "budget out of reach": (
        ["choose", "{run}", "--criterion", "voting", "--min-speedup", "9"],
        r"no threshold[\s\S]*hint:",
    ),
    "oracle": (["choose", "{run}", "--criterion", "oracle", "--max-loss", "1"], r"oracle[\s\S]*hint:"),
    "rows the criterion was fitted on": (
        ["choose", "{run}", "--criterion", "conformal", "--max-loss", "1", "--split", "calibration"],
        r"conformal was fitted on[\s\S]*hint:",
    ),
    "missing split": ([*VOTING, "--split", "test"], r"'test'[\s\S]*hint:"),
    "no calibration rows": ([*VOTING, "--split", "calibration"], r"'calibration'[\s\S]*hint:.*--data.calibration"),
    "negative seed": ([*VOTING, "--seed", "-1"], r"seed of -1[\s\S]*hint:"),
    "unknown metric": ([*VOTING, "--metric", "bleu"], r"bleu[\s\S]*--metric[\s\S]*accuracy"),
    "metric of two classes": ([*VOTING, "--metric", "f1"], r"f1[\s\S]*hint:"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_message(mistake: str, folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, expected = MISTAKES[mistake]
    assert main([argument.replace("{run}", str(folder.path)) for argument in arguments]) == 1
    printed = capsys.readouterr().err
    assert printed.count("error: ") == 1
    assert re.search(expected, printed), printed
    assert not (folder.path / "operating_point.json").exists()


def check_refused(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    assert re.search(expected, capsys.readouterr().err)


def test_an_empty_list_of_criteria_leaves_the_curves(folder: RunFolder) -> None:
    before = (folder.path / "curves.csv").read_bytes()
    assert main(["curves", str(folder.path), "--criteria", ""]) == 1
    assert (folder.path / "curves.csv").read_bytes() == before


def test_exits_without_figures_are_refused_before_anything_is_written(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_exits("test", _exits(50, 2))
    folder.write_exits("validation_2", _exits(50, 2))
    before = {file: file.read_bytes() for file in folder.path.rglob("*.*")}
    expected = r"no figures of the split 'test'[\s\S]*summary.json[\s\S]*run validate or test"
    check_refused(["curves", str(folder.path)], expected, capsys)
    choose = ["choose", str(folder.path), "--criterion", "voting", "--max-loss", "1", "--split", "test"]
    check_refused(choose, expected, capsys)
    assert {file: file.read_bytes() for file in folder.path.rglob("*.*")} == before


@pytest.mark.parametrize("content", ['{"validation": {"task', "{}"])
def test_a_summary_that_tells_nothing_is_refused(
    content: str, folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / "summary.json").write_text(content)
    for command in (["curves"], ["choose", "--criterion", "voting", "--max-loss", "1"]):
        check_refused([command[0], str(folder.path), *command[1:]], r"summary[\s\S]*hint:.*run", capsys)


def test_a_point_that_cannot_be_written_is_refused(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.path / "operating_point.json").mkdir()
    arguments = ["choose", str(folder.path), "--criterion", "voting", "--min-speedup", "1.2"]
    check_refused(arguments, r"operating_point.json can't be written: Is a directory[\s\S]*hint:", capsys)


def test_fit_holds_rows_out_and_sweeps_fitted_criteria(run: Callable[..., int], small: dict[str, object]) -> None:
    criteria = "[ee_lightning.exits.Voting, ee_lightning.exits.CalibratedConfidence, ee_lightning.exits.Conformal]"
    assert run("fit", **small, **{"data.calibration": 20, "sweep.criteria": criteria}) == 0
    folder = RunFolder("runs/run/version_0")
    calibration = folder.read_calibration()
    assert calibration is not None
    assert calibration.num_samples == 20
    fitted = json.loads((folder.path / "fitted.json").read_text())["validation"]
    assert set(fitted) == {"calibrated_confidence", "conformal"}
    before = (folder.path / "curves.csv").read_bytes()
    named = "voting,calibrated_confidence,conformal"
    assert main(["curves", str(folder.path), "--criteria", named]) == 0
    assert (folder.path / "curves.csv").read_bytes() == before
    assert json.loads((folder.path / "fitted.json").read_text())["validation"] == fitted


def test_fitted_criteria_without_held_out_rows_are_refused(
    run: Callable[..., int], small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", **small, **{"sweep.criteria": "[ee_lightning.exits.Conformal]"}) == 1
    assert "--data.calibration" in capfd.readouterr().err
    assert not list(Path().rglob("summary.json"))


def test_every_stored_split_is_swept_by_itself(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write_exits("test", _exits(300, 2))
    before = {**folder.read_summary()["validation"], "samples": 1}
    for split in ("validation", "test"):
        folder.write_summary(split, before)
    assert main(["curves", str(folder.path), "--criteria", "voting"]) == 0
    for split, exits in (("validation", _exits(400, 0)), ("test", _exits(300, 2))):
        figures = folder.read_summary()[split]
        accuracy = (exits.logits[-1].argmax(-1) == exits.labels).double().mean().item()
        assert (figures["samples"], figures["full_model"]["accuracy"]) == (exits.num_samples, pytest.approx(accuracy))
    printed = capsys.readouterr().out
    assert "own validation: 400 samples" in printed
    assert "own test: 300 samples" in printed


def test_what_is_fitted_is_fitted_on_the_rows_held_out(folder: RunFolder) -> None:
    folder.write_exits(CALIBRATION, _exits(200, 1))
    assert main(["curves", str(folder.path), "--criteria", "calibrated_confidence"]) == 0
    expected = CRITERIA["calibrated_confidence"]()
    assert isinstance(expected, Fitted)
    expected.fit(_exits(200, 1))
    assert json.loads((folder.path / "fitted.json").read_text())["validation"][expected.name] == expected.fitted


def test_a_gate_that_was_stored_is_replayed_unasked(folder: RunFolder) -> None:
    exits = _exits(400, 0)
    gate = torch.rand(4, 400, generator=torch.Generator().manual_seed(3))
    folder.write_exits("validation", StoredExits(exits.logits, exits.labels, exits.ids, {"gate": gate}))
    assert main(["curves", str(folder.path)]) == 0
    assert "gate" in set(pd.read_csv(folder.path / "curves.csv")["criterion"])


def test_the_summary_is_written_last(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    for name in ("curves", "fitted", "diagnostics", "summary"):
        monkeypatch.setattr(RunFolder, f"write_{name}", lambda *_, name=name, **__: written.append(name))
    monkeypatch.setattr(RunFolder, "read_curves", lambda _: {"validation": found.curves})
    found = sweep_exits(
        [CRITERIA["voting"]()], _exits(50, 0), None, split="validation", task="own", metrics=["accuracy"]
    )
    write_sweep(folder, found)
    assert written[-1] == "summary"


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("--min-speedup", "min_speedup", 1.25),
        ("--max-loss", "max_loss", 7.5),
        ("--max-spoilt", "max_spoilt", 12.5),
        ("--max-brier", "max_brier", 10),
        ("--max-hellinger", "max_hellinger", 25),
        ("--consistency", "consistency", 0.625),
    ],
)
def test_choice_is_by_the_options_given(option: str, name: str, value: float, folder: RunFolder) -> None:
    folder.write_exits("test", _exits(300, 2))
    folder.write_summary("test", {**folder.read_summary()["validation"], "metrics": ["matthews", "accuracy"]})
    budget = f"{option}={value}"
    assert main(["choose", str(folder.path), "--criterion=voting", budget, "--split=test", "--seed=3"]) == 0
    point = OperatingPoint.read(folder.path)
    assert point.asked == Asked(name, value, "matthews", None, "test", 3)
    assert point.chosen_on + point.measured_on == 300
