"""Data of your own, by a config alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ee_lightning.cli import main

Run = Callable[..., int]
CONFIG = """
data:
  task: reviews
  root: reviews.csv
  own:
    text_columns: [review]
    label_column: verdict
    metrics: [macro_f1, accuracy]
    test_share: 0.2
model:
  labels:
    smoothing: 0.1
    class_weights: balanced
run:
  name: on-${data.task}
"""


@pytest.fixture
def options(small: dict[str, object]) -> dict[str, object]:
    """Write reviews with verdicts and stars, and give options for a run on them."""
    words = {"good": ("lovely", "warm", "bright"), "bad": ("dull", "cold", "stupid"), "so": ("the", "film", "plot")}
    kinds = [(verdict, word) for verdict, choice in words.items() for word in choice]
    rows = [
        (
            f"{word} {' '.join(['camera', 'actor'][: copy % 3])} scene {copy}",
            verdict,
            {"good": 5, "so": 2.5, "bad": 0}[verdict],
        )
        for copy in range(30)
        for verdict, word in kinds
    ]
    pd.DataFrame(rows, columns=["review", "verdict", "stars"]).to_csv("reviews.csv", index=False)
    Path("mine.yaml").write_text(CONFIG)
    kept = {name: value for name, value in small.items() if name not in {"data.task", "data.root"}}
    rates = {"model.optimization.learning_rate": 5e-3, "model.optimization.head_learning_rate": 1e-2}
    return {**kept, **rates, "model.heads.pooling": "mean", "data.batch_size": 8, "trainer.max_epochs": 3}


def test_a_file_becomes_a_model_that_speaks_its_labels(run: Run, options: dict[str, object]) -> None:
    assert run("fit", Path("mine.yaml"), **options) == 0
    folder = Path("runs/on-reviews/version_0")
    written = yaml.safe_load((folder / "config.yaml").read_text())["data"]["own"]
    assert written["label_names"] == ["bad", "good", "so"]
    summary = json.loads((folder / "summary.json").read_text())["validation"]
    assert set(summary["exits"]) == {"macro_f1", "accuracy"}
    assert summary["exits"]["macro_f1"][-1] > 0.8
    assert main(["predict", str(folder), "--criterion", "fixed", "--threshold", "3"]) == 0
    held_out = pd.read_csv(folder / "predictions.csv")
    assert set(held_out["label"]) <= {"bad", "good", "so"}
    Path("new.csv").write_text("review\nlovely scene\ndull scene\n")
    command = ["predict", str(folder), "--criterion", "fixed", "--threshold", "3", "--input", "new.csv"]
    Path("reviews.csv").unlink()  # the run folder knows the labels
    assert main([*command, "--output", "labels.csv"]) == 0
    assert pd.read_csv("labels.csv")["label"].tolist() == ["good", "bad"]


def test_a_run_on_a_file_goes_on_and_notices_other_labels(
    run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    options |= {"trainer.max_epochs": 1}
    assert run("fit", Path("mine.yaml"), **options) == 0
    Path("runs/on-reviews/version_0/summary.json").unlink()
    rows = pd.read_csv("reviews.csv")
    rows.replace({"verdict": {"so": "fair"}}).to_csv("reviews.csv", index=False)
    assert run("fit", Path("mine.yaml"), **options, ckpt_path="last") == 1
    assert "data.own.label_names.1: good → fair" in capfd.readouterr().err
    rows.to_csv("reviews.csv", index=False)
    assert run("fit", Path("mine.yaml"), **options, ckpt_path="last") == 0


def test_values_of_a_file(run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    options |= {"data.own.label_column": "stars", "data.own.regression": "true", "data.own.metrics": "[pearson]"}
    options |= {
        "data.own.test_share": 0,
        "data.batch_size": 32,
        "trainer.max_epochs": 4,
        "model.labels.smoothing": 0,
        "model.labels.class_weights": "null",
    }
    options["sweep.criteria"] = "[{class_path: ee_lightning.exits.Patience, init_args: {tolerance: 0.5}}]"
    assert run("fit", Path("mine.yaml"), **options) == 0
    folder, rule = "runs/on-reviews/version_0", ["--criterion", "patience(tolerance=0.5)", "--threshold", "1"]
    summary = json.loads(Path(folder, "summary.json").read_text())["validation"]
    assert summary["exits"]["pearson"][-1] > 0.8
    assert main(["choose", folder, *rule[:2], "--min-speedup=2"]) == 1
    assert " ".join(rule).replace(rule[1], f"'{rule[1]}'") in capfd.readouterr().err
    assert main(["predict", folder, "--text=so"]) == 1
    assert f"for regression {rule[0]} '{rule[1]}' --threshold 1" in capfd.readouterr().err
    assert main(["predict", folder, *rule]) == 1
    assert "the run's data have no test split: give rows with --input FILE" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"data.own.label_column": "mood"}, r"no column 'mood'[\s\S]*reviews.csv[\s\S]*review, verdict, stars"),
        ({"data.own.text_columns": "[stars]"}, r"'stars' holds numbers, and no texts[\s\S]*--data.own.text_columns"),
        ({"data.root": "nowhere.csv"}, r"where: nowhere.csv[\s\S]*hint:"),
        ({"data.own.validation_share": 1}, r"hold 1.2 of the rows out[\s\S]*--data.own.validation_share"),
        ({"data.task": "rte"}, r"'rte' is a task of the table[\s\S]*another name"),
        (
            {"data.own.label_names": "[good, bad]"},
            r"label 'so' is unknown[\s\S]*reviews.csv, line 8[\s\S]*good \(0\), bad \(1\)",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_mistake_is_one_error(
    changed: dict[str, object], expected: str, run: Run, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", Path("mine.yaml"), **options, **changed) == 1
    printed = capfd.readouterr().err
    assert printed.count("error: ") == 1
    assert "Traceback" not in printed
    assert pd.Series([printed]).str.contains(expected).all(), printed
