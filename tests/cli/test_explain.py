"""One text or row from the shell: predict --text, explain, and rows from standard input."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from forked import Command

from ee_lightning.cli import main
from ee_lightning.exits import Voting, replay
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.runs.folder import RunFolder

RULE = ["--criterion", "voting(k=0.5)", "--threshold", "1.4"]


@pytest.fixture(scope="module")
def run(trained: Callable[..., Path]) -> Path:
    return trained("sst2")


def printed(capfd: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    capfd.readouterr()
    assert main([*map(str, arguments)]) == status
    said = capfd.readouterr()
    return said.err if status else said.out


def test_one_text_is_predicted(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    predictor = EarlyExitPredictor.from_run(run, criterion="voting(k=0.5)", threshold=1.4)
    expected = predictor("a lovely film")
    lines = printed(capfd, "predict", run, *RULE, "--text", "a lovely film", "--probabilities").splitlines()
    assert lines[:2] == [f"label: {expected.label}", f"probability: {expected.probability:.4f}"]
    shares = {name: float(share) for name, share in (line.strip().split(": ") for line in lines[2:4])}
    assert list(shares) == ["negative", "positive"]
    assert sum(shares.values()) == pytest.approx(1, abs=2e-4)
    assert lines[4].startswith(f"exit: {expected.exit_layer} of 3, by voting(k=0.5) at threshold 1.4 (score ")


def test_a_pair_or_a_value_is_predicted(trained: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    rule = ["--criterion", "patience(tolerance=0.5)", "--threshold", "1"]
    said = printed(capfd, "predict", trained("stsb"), *rule, "--text", "a film", "--pair", "a plot")
    assert re.match(r"label: -?[\d.]+\nexit: \d of 3", said)
    assert "takes 2 texts" in printed(capfd, "predict", trained("rte"), *RULE, "--text", "a film", status=1)
    no_share = ["--input", "in.csv", "--output", "out.csv", "--probabilities"]
    Path("in.csv").write_text("sentence1,sentence2\na,b\n")
    for options in (no_share, ["--text", "a film", "--pair", "a plot", "--probabilities"]):
        capfd.readouterr()
        assert main(["predict", str(trained("stsb")), *rule, *options]) == 1
        said = capfd.readouterr()
        assert "values have no probabilities" in said.err
        assert not said.out


def test_rows_come_from_standard_input(run: Path) -> None:
    Path("lines").write_text("a lovely film\n\n")
    command = Command("predict", run, *RULE, "--input", "-", "--output", "out.parquet", stdin="lines")
    assert command.ends() == 0, command.printed
    assert "1 row with an empty text" in command.printed
    rows = pq.read_table("out.parquet").to_pylist()
    assert [(row["id"], row["sentence"], row["empty"]) for row in rows] == [(0, "a lovely film", False), (1, "", True)]
    Path("lines").write_text('{"text": "a film", "id": 7}\n{"text": "a plot", "more": [1]}\n')
    Path("out.jsonl").write_text("of the last time")
    command = Command("predict", run, *RULE, "--input", "-.jsonl", "--output", "out.jsonl", stdin="lines")
    assert command.ends() == 0, command.printed
    written = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == [7, 1]
    assert written[1]["more"] == [1]


def test_probabilities_of_all_labels_are_those_of_the_predictor(run: Path) -> None:
    Path("in.csv").write_text("id,text,label\n7,a lovely film,x\n8,the dull plot,y\n")
    assert main(["predict", str(run), *RULE, "--input", "in.csv", "--output", "out.csv", "--probabilities"]) == 0
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["text"], row["input_label"]) for row in rows] == [
        ("7", "a lovely film", "x"),
        ("8", "the dull plot", "y"),
    ]
    for row in rows:
        assert "trail" not in row
        assert float(row[f"probability_{row['label']}"]) == pytest.approx(float(row["probability"]))


@pytest.mark.parametrize("threshold", [1.4, float("inf")])
def test_every_exit_of_a_row_is_explained(threshold: float, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    exits = RunFolder(run).read_exits("validation")
    scores = replay(Voting(k=0.5), exits)
    exit_layers, labels = scores.at(threshold)
    for place in (0, exits.num_samples - 1):
        name = ("negative", "positive")[int(labels[place])]
        rule = ["--criterion", "voting(k=0.5)", f"--threshold={threshold}"]
        said = printed(capfd, "explain", run, "--row", int(exits.ids[place]), *rule)
        assert said.startswith("text: ")
        assert f"\nright label: {('negative', 'positive')[int(exits.known_labels()[place])]}\n" in said
        (leaving,) = [line for line in said.splitlines() if "leaves here" in line]
        assert leaving.split()[1] == str(int(exit_layers[place]))
        assert f"{scores.scores[exit_layers[place] - 1, place].item():.4g}" in leaving
        assert len(re.findall(r" (>=|<) ", said)) == exits.num_exits
        is_reached = bool(scores.scores[exit_layers[place] - 1, place] >= threshold)
        why = "its score reaches the threshold" if is_reached else "no score reaches the threshold"
        assert said.splitlines()[-1].startswith(f"{name} at exit {int(exit_layers[place])} of 3, by voting(k=0.5)")
        assert said.splitlines()[-1].endswith(why)


def test_a_text_is_explained_as_it_is_predicted(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    predictor = EarlyExitPredictor.from_run(run, criterion="voting(k=0.5)", threshold=1.4)
    predictor.save_pretrained("model")
    expected = predictor("a lovely film")
    said = printed(capfd, "explain", "model", "--text", "a lovely film")
    assert f"\n{expected.label} at exit {expected.exit_layer} of 3, by voting(k=0.5) at threshold 1.4: " in said


MISTAKES = {
    "nothing": ([], r"one of --row and --text is needed"),
    "both": (["--row", "1", "--text", "a"], r"one of --row and --text is needed, and not both"),
    "no such row": (["--row", "99999"], r"have no row 99999[\s\S]*such as --row \d+"),
    "pair of a row": (["--row", "1", "--pair", "a"], r"--pair is the second text beside --text"),
    "split of a text": (["--text", "a", "--split", "test"], r"--split says where --row is"),
    "no such split": (["--row", "1", "--split", "train"], r"--split: invalid choice"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_explained_is_said(mistake: str, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, match = MISTAKES[mistake]
    assert re.search(match, printed(capfd, "explain", run, *arguments, *RULE, status=1))


def test_without_the_data_a_row_is_explained_all_the_same(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    moved = shutil.copytree(run, Path("moved"))
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(re.sub(r"(?m)^  root: .*$", "  root: nowhere", config))
    row = int(RunFolder(run).read_exits("validation").ids[0])
    assert printed(capfd, "explain", moved, "--row", row, *RULE).startswith("right label: ")


def test_commands_and_options_are_suggested(capfd: pytest.CaptureFixture[str]) -> None:
    assert "did you mean predict?" in printed(capfd, "predcit", status=1)
    assert "did you mean --input?" in printed(capfd, "predict", "run", "--inptu", "a.csv", status=1)


def test_where_no_run_is_there_is_no_row_to_explain(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "runs/missing/version_0", "--row", "1"]) == 1
    assert re.match(
        r"error: this is no run folder, and only a run has stored exits\n  where: runs/missing/version_0\n",
        capfd.readouterr().err,
    )
