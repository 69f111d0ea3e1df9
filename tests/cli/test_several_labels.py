"""Data of your own with any number of labels a row, by a config alone."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import wandb
import yaml

from ee_lightning.cli import main
from ee_lightning.data.sources import open_source
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions

Run = Callable[..., int]
REPOSITORY = Path(__file__).parents[2]
WORDS = {"fun": ("funny", "clever"), "gripe": ("dull", "cold"), "praise": ("lovely", "warm")}
NAMES = list(WORDS)
FOLDER = Path("runs/on-reviews/version_0")
CONFIG = """
data:
  task: reviews
  root: reviews.jsonl
  own:
    text_columns: [text]
    label_column: tags
    multi_label: true
    test_share: 0.1
run:
  name: on-${data.task}
"""


@pytest.fixture
def options(small: dict[str, object]) -> dict[str, object]:
    """Write reviews with any number of tags, as CSV and JSONL, and give options for a run on them."""
    rng, rows = random.Random(0), []
    for _ in range(300):
        tags = [name for name in NAMES if rng.random() < 0.5]
        words = [rng.choice(WORDS[name]) for name in tags] + rng.choices("the film story plot scene".split(), k=4)  # noqa: SIM905
        rows.append({"text": " ".join(rng.sample(words, k=len(words))), "tags": tags})
    Path("reviews.jsonl").write_text("\n".join(map(json.dumps, rows)))
    flags = [{"text": row["text"]} | {name: int(name in row["tags"]) for name in NAMES} for row in rows]
    pd.DataFrame(flags).to_csv("flags.csv", index=False)
    joined = [{"text": row["text"], "tags": "; ".join(row["tags"])} for row in rows]
    pd.DataFrame(joined).to_csv("joined.csv", index=False)
    Path("mine.yaml").write_text(CONFIG)
    kept = {name: value for name, value in small.items() if name not in {"data.task", "data.root"}}
    rates = {"model.optimization.learning_rate": 2e-3, "model.optimization.head_learning_rate": 1e-2}
    return {**kept, **rates, "model.heads.pooling": "mean", "data.batch_size": 8, "trainer.max_epochs": 8}


def test_lists_of_labels_become_a_model_that_gives_lists(run: Run, options: dict[str, object]) -> None:
    options |= {"model.objective": "EnsembleObjective"}
    assert run("fit", Path("mine.yaml"), REPOSITORY / "configs/trainer/wandb.yaml", **options) == 0
    written = yaml.safe_load((FOLDER / "config.yaml").read_text())["data"]["own"]
    assert written["label_names"] == NAMES
    summary = json.loads((FOLDER / "summary.json").read_text())["validation"]
    assert list(summary["exits"]) == ["micro_f1", "macro_f1", "exact_match"]
    assert summary["exits"]["micro_f1"][-1] > 0.8
    curves = pd.read_csv(FOLDER / "curves.csv")
    assert set(curves["criterion"]) == {"voting", "patience", "confidence", "entropy", "oracle", "fixed"}
    logged = pd.read_csv(FOLDER / "metrics.csv")
    assert {"train/diversity_term", "val/macro_f1", "val/exact_match", "val/confidence/area"} <= {*logged}
    wandb.teardown()
    (tables,) = Path("runs/wandb").glob("offline-run-*/files/media/table/val")
    kept = [json.loads(file.read_text()) for file in tables.glob("curves_*.table.json")]
    assert [table["columns"][-3:] for table in kept] == [["micro_f1", "macro_f1", "exact_match"]]
    assert len(kept[0]["data"]) == len(curves)

    assert main(["choose", str(FOLDER), "--criterion", "confidence", "--min-speedup", "1.5"]) == 0
    assert main(["predict", str(FOLDER)]) == 0  # the rows held out for testing
    held_out = pd.read_csv(FOLDER / "predictions.csv", keep_default_na=False)
    options_of_run = RunOptions.read(RunFolder(FOLDER))
    rows = open_source(options_of_run.root, options_of_run.task).load("test")
    flags = [[int(name in labels.split("|")) for name in NAMES] for labels in held_out["label"]]
    decisions = [
        said == true for both in zip(flags, rows["label"], strict=True) for said, true in zip(*both, strict=True)
    ]
    assert sum(decisions) > 0.8 * len(decisions)
    for labels, probabilities in zip(held_out["label"], held_out["probability"], strict=True):
        shares = json.loads(probabilities)
        assert len(shares) == len(labels.split("|") if labels else [])
        assert all(0.5 < share <= 1 for share in shares)

    Path("reviews.jsonl").unlink()  # the run folder knows the labels
    Path("new.txt").write_text("funny lovely scene\nthe plot\n")
    assert main(["save", str(FOLDER), "model"]) == 0
    for model in (str(FOLDER), "model"):
        assert main(["predict", model, "--input", "new.txt", "--output", "new.jsonl", "--trail"]) == 0
        both = [json.loads(line) for line in Path("new.jsonl").read_text().splitlines()]
        assert [row["label"] for row in both] == [["fun", "praise"], []]
        assert [len(row["probability"]) for row in both] == [2, 0]
    prediction = EarlyExitPredictor.from_pretrained("model")("funny lovely scene")
    assert prediction.label == both[0]["label"]
    assert prediction.probability == pytest.approx(both[0]["probability"], abs=1e-5)


def test_texts_with_a_separator_are_given_back_with_it(run: Run, options: dict[str, object]) -> None:
    others = {"data.root": "joined.csv", "data.own.label_separator": ";", "model.labels.class_weights": "balanced"}
    others |= {"model.labels.smoothing": 0.1, "data.own.metrics": "[macro_f1]"}
    assert run("fit", Path("mine.yaml"), **options, **others) == 0
    assert json.loads((FOLDER / "summary.json").read_text())["validation"]["exits"]["macro_f1"][-1] > 0.8
    Path("new.csv").write_text("text\nfunny lovely scene\nthe plot\n")
    command = ["predict", str(FOLDER), "--criterion", "voting", "--threshold", "1.2", "--input", "new.csv"]
    assert main([*command, "--output", "labels.csv"]) == 0
    labels = pd.read_csv("labels.csv", keep_default_na=False)["label"].tolist()
    assert labels == ["fun;praise", ""]


def test_a_column_for_each_label_with_a_gate(
    run: Run, options: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    options |= {"data.root": "flags.csv", "data.own.label_columns": f"[{', '.join(NAMES)}]"}
    options |= {"model.heads.gate": "true", "model.optimization.learning_rate": 1e-3}
    options |= {"sweep.criteria": "[{class_path: ee_lightning.exits.Gate}]", "trainer.max_epochs": 2}
    assert run("fit", Path("mine.yaml"), **options) == 0
    assert set(pd.read_csv(FOLDER / "curves.csv")["criterion"]) == {"gate", "oracle", "fixed"}
    assert "train/gate_term" in pd.read_csv(FOLDER / "metrics.csv")
    capsys.readouterr()
    gate = ["--criterion", "gate", "--threshold=-0.5"]
    for what in (["--row", str(RunFolder(FOLDER).read_exits("validation").ids[0].item())], ["--text", "funny scene"]):
        assert main(["explain", str(FOLDER), *what, *gate]) == 0
        said = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"(\(none\)|[\w; |,]+) at exit \d of 3, by gate at threshold -0.5: .*", said[-1])
        assert sum("leaves here" in line for line in said) == 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"data.own.label_names": "[fun, praise]"}, r"label 'gripe' is unknown[\s\S]*reviews.jsonl, line \d+"),
        ({"data.own.multi_label": "false"}, r"the labels are lists[\s\S]*--data.own.multi_label true"),
        ({"data.own.label_columns": "[fun, gripe]"}, r"no column 'fun'[\s\S]*text, tags"),
        ({"data.own.metrics": "[f1]"}, r"f1 is no metric here[\s\S]*use micro_f1, macro_f1, exact_match"),
        (
            {"sweep.criteria": "[{class_path: ee_lightning.exits.Margin}]"},
            r"margin needs one class a sample[\s\S]*voting, patience, [\s\S]*gate, q_exit or fixed",
        ),
        ({"model.labels.class_weights": "[1, 2]"}, r"2 class weights for 3 classes"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_mistake_is_one_error(
    changed: dict[str, object], expected: str, run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", Path("mine.yaml"), **{**options, **changed}) == 1
    printed = capfd.readouterr().err
    assert printed.count("error: ") == 1
    assert "Traceback" not in printed
    assert pd.Series([printed]).str.contains(expected).all(), printed
