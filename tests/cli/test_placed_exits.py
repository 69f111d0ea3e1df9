"""Exits after some layers only, from training to the saved model, and a subset of them asked alone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ee_lightning.cli import main
from ee_lightning.exits import Fixed, Voting, replay, trace_curve
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import OperatingPoint

Trained = Callable[..., Path]


@pytest.fixture
def placed(trained: Trained) -> Path:
    """Return a run of its own whose exits stand after layers 1 and 3 of 3."""
    return shutil.copytree(trained("sst2", model__heads__exits="[1,3]", data__calibration=40), Path("placed"))


@pytest.fixture
def every(trained: Trained) -> Path:
    """Return a run of its own with an exit after every layer."""
    return shutil.copytree(trained("sst2", data__calibration=40), Path("every"))


def said(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    """Run a command and return what it prints."""
    capsys.readouterr()
    assert main([*map(str, arguments)]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


@pytest.fixture
def texts(glue_folder: Path) -> list[str]:
    """Return the sentences of the runs' validation split."""
    lines = (glue_folder / "SST-2/dev.tsv").read_text().splitlines()[1:]
    return [line.rpartition("\t")[0] for line in lines]


def test_a_model_with_placed_exits_goes_all_the_way(
    placed: Path, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(placed)
    exits, summary = folder.read_exits("validation"), folder.read_summary()["validation"]
    assert exits.layers_of_exits == folder.read_exits("calibration").layers_of_exits == (1, 3)
    assert (summary["num_exits"], summary["layers_of_exits"]) == (2, [1, 3])
    (voting,) = [curve for curve in folder.read_curves()["validation"] if curve.criterion == "voting"]
    assert (voting.num_layers, voting.speedup.max().item()) == (3, 3)
    assert "47 samples, 2 exits after layers 1, 3\n" in said(capsys, "curves", placed)

    printed = said(capsys, "choose", placed, "--criterion", "calibrated_confidence", "--min-speedup", "1.2")
    point = OperatingPoint.read(placed)
    assert point.layers_of_exits == (1, 3)
    exit_layers, labels = replay(point.criterion.build(), exits).at(point.threshold)
    assert "speed-up" in printed

    predictor = EarlyExitPredictor.from_run(placed)
    found = predictor(texts)
    assert [each.exit_layer for each in found] == exit_layers.tolist()
    assert [each.label for each in found] == [("negative", "positive")[label] for label in labels.tolist()]

    Path("rows.txt").write_text("\n".join(texts) + "\n")
    printed = said(capsys, "predict", placed, "--input", "rows.txt", "--output", "rows.jsonl")
    mean = 1 + 2 * (exit_layers == 2).double().mean().item()
    assert f"of 2: {3 / mean:.2f}x faster by layers" in printed

    said(capsys, "save", placed, "model")
    again = EarlyExitPredictor.from_pretrained("model")
    assert again.model.layers_of_exits == (1, 3)
    assert again(texts) == found
    measured = said(capsys, "speed", placed, "--batch-sizes", "4", "--repeats", "1", "--max-samples", "4")
    assert "3.00x" in measured
    assert re.search(r"│ 2 +│ 3 +│", said(capsys, "explain", placed, "--text", texts[0]))


@pytest.mark.parametrize("criterion", ["voting(k=0.5)", "calibrated_confidence"])
def test_the_replay_of_a_subset_is_what_it_does_at_work(
    criterion: str, every: Path, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "choose", every, "--criterion", criterion, "--min-speedup", "1.1", "--exits", "2,3")
    point, asked = OperatingPoint.read(every), RunFolder(every).read_exits("validation").asking([2, 3])
    assert point.layers_of_exits == (2, 3)
    exit_layers, labels = replay(point.criterion.build(), asked).at(point.threshold)
    words = [("negative", "positive")[label] for label in labels.tolist()]
    predictor = EarlyExitPredictor.from_run(every)
    assert (predictor.model.layers_of_exits, predictor.deployment.num_exits) == ((2, 3), 2)
    assert [(each.exit_layer, each.label) for each in predictor(texts)] == [
        *zip(exit_layers.tolist(), words, strict=True)
    ]
    given = ["--criterion", criterion, "--threshold", point.threshold, "--exits", "2,3"]
    said(capsys, "save", every, "model")
    said(capsys, "save", every, "same", *given)
    for folder in ("model", "same"):
        saved = EarlyExitPredictor.from_pretrained(folder)
        assert len(saved.model.heads.classifiers) == 2
        assert saved(texts) == predictor(texts)
    assert "2 │ 3 " in re.sub(" +", " ", said(capsys, "explain", every, "--row", "0", *given))
    assert re.search(r"exit: [12] of 2, ", said(capsys, "predict", every, "--text", texts[0]))


def test_a_subset_is_replayed_and_the_run_folder_stays(every: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in every.rglob("*") if file.is_file()}
    printed = said(capsys, "curves", every, "--criteria", "voting,conformal", "--exits", "2,3")
    assert {file: file.read_bytes() for file in every.rglob("*") if file.is_file()} == before
    assert "2 exits after layers 2, 3\n" in printed
    exits = RunFolder(every).read_exits("validation").asking([2, 3])
    voting, fixed = (trace_curve(criterion, exits, ["accuracy"]) for criterion in (Voting(), Fixed()))
    area = voting.area("accuracy", fixed)
    assert re.search(rf"voting .* {100 * area:.1f} │", printed)


def test_the_speed_of_a_subset_is_measured(every: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--batch-sizes", "4", "--repeats", "1", "--max-samples", "4", "--speedups", "1.5"]
    said(capsys, "speed", every, "--criterion", "fixed", "--exits", "2,3", *options)
    assert {each.layer_speedup for each in RunFolder(every).read_speed()["validation"]} == {1.5}
    assert "2x is more than 2 exits can reach, the first one after layer 2 of 3" in said(
        capsys, "speed", every, "--criterion", "fixed", "--exits", "2,3", "--speedups", "2", status=1
    )


@pytest.mark.parametrize(
    ("exits", "what"),
    [
        ("1,2", "the last layer, 3, is not asked"),
        ("4,3", "the layers of the exits are 4, 3"),
        ("2,2,3", "the layers of the exits are 2, 2, 3"),
        ("0,3", "the layers of the exits are 0, 3"),
        ("3,7", "the model has no exit after layer 7"),
        ("two", "should be a valid integer"),
    ],
)
def test_exits_that_cannot_be_asked_are_one_error(
    exits: str, what: str, every: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = ["--criterion", "voting", "--threshold", "1.2"]
    for command in (
        ["curves", every],
        ["choose", every, "--criterion", "voting", "--min-speedup", "1.2"],
        ["predict", every, "--text", "a film", *rule],
        ["save", every, "model", *rule],
        ["explain", every, "--row", "0", *rule],
        ["speed", every],
    ):
        error = said(capsys, *command, "--exits", exits, status=1)
        assert error.startswith("error: ")
        assert what in error


def test_the_threshold_of_an_operating_point_is_for_its_exits(every: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "choose", every, "--criterion", "confidence", "--min-speedup", "1.2")
    said(capsys, "save", every, "model")
    for model in (every, "model"):
        error = said(capsys, "predict", model, "--text", "a film", "--exits", "2,3", status=1)
        assert "the threshold was chosen for exits after layers 1, 2, 3" in error
        assert "of 2, by confidence at threshold 0.7" in said(
            capsys, "predict", model, "--text", "a film", "--exits", "2,3", "--threshold", "0.7"
        )
    printed = said(capsys, "choose", every, "--criterion", "confidence", "--min-speedup", "1.2", "--exits", "[1,3]")
    assert "--exits 1,2,3" in " ".join(printed.split())  # of the one replaced


@pytest.mark.parametrize("budget", ["--min-speedup 1.05", "--max-loss 30"])
def test_exits_are_picked_for_the_clock(
    budget: str, every: Path, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    printed = said(capsys, "choose", every, "--criterion", "confidence", *budget.split(), "--exits", "auto")
    point = OperatingPoint.read(every)
    assert point.layers_of_exits[-1] == 3
    assert point.costs is not None
    assert 0 < point.costs.layer < point.costs.full
    assert re.search(r"a row takes [\d.e-]+ ms, [\d.e-]+ ms a layer and [\d.e-]+ ms an exit", " ".join(printed.split()))
    assert "speed-up on the clock" in printed
    asked = RunFolder(every).read_exits("validation").asking(point.layers_of_exits)
    exit_layers, _ = replay(point.criterion.build(), asked).at(point.threshold)
    assert [each.exit_layer for each in EarlyExitPredictor.from_run(every)(texts)] == exit_layers.tolist()


def test_what_the_clock_cannot_pick_is_refused(every: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["choose", every, "--criterion", "confidence", "--max-loss", "30", "--exits", "auto"]
    assert "measured on the rows of a split" in said(capsys, *asked, "--split", "calibration", status=1)


def test_what_an_older_release_stored_has_an_exit_after_every_layer(every: Path) -> None:
    folder, point, file = RunFolder(every), every / "operating_point.json", every / "exits/validation.safetensors"
    stored = folder.read_exits("validation")
    tensors = load_file(file)
    del tensors["layers_of_exits"]
    save_file(tensors, file)
    assert torch.equal(folder.read_exits("validation").logits, stored.logits)
    assert folder.read_exits("validation").layers_of_exits == (1, 2, 3)
    assert main(["choose", str(every), "--criterion", "confidence", "--min-speedup", "1.2"]) == 0
    fields = json.loads(point.read_text())
    fields |= {"format": 1, "num_exits": len(fields.pop("layers_of_exits"))}
    point.write_text(json.dumps(fields))
    assert EarlyExitPredictor.from_run(every).model.layers_of_exits == (1, 2, 3)


@pytest.mark.parametrize(
    ("exits", "what"),
    [
        ("[1,2]", "no exit stands after the last of the model's 3 layers"),
        ("[2,9]", "after layer 9, and the model has 3 layers"),
        ("[3,1]", "the layers of the exits are 3, 1"),
        ("[1,1,3]", "the layers of the exits are 1, 1, 3"),
        ("[3]", "JointObjective trains early exits, and there are none"),
        ("some", "some"),
    ],
)
def test_exits_that_cannot_be_trained_are_one_error(
    exits: str, what: str, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**small, "model.heads.exits": exits}
    error = said(capsys, "fit", *(f"--{name}={value}" for name, value in options.items()), status=1)
    assert what in error
    assert "model.heads.exits" in error
    assert not Path("runs").exists()
