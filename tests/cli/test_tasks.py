"""Tasks of every kind, from fit to predict: two labels are everywhere else, here are twenty, and values."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from ee_lightning.cli import main
from ee_lightning.data import TASKS, Task
from ee_lightning.data.tasks import GlueFiles
from ee_lightning.runs.folder import RunFolder

REPOSITORY = Path(__file__).parents[2]
Run = Callable[..., int]
INTENTS = Task(
    name="intents",
    text_columns=("sentence",),
    label_column="label",
    label_names=tuple(f"intent_{number}" for number in range(20)),
    metrics=("accuracy", "matthews"),
    hub_path="no/such-data",
    glue=GlueFiles("Intents", text_columns=("sentence",), label_column="label"),
)
WORDS = (
    "lovely warm clever bright funny moving dull cold stupid dark boring empty the film story plot scene actor very of"
)


@pytest.fixture
def intents(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a task of twenty labels to the table, a word for each, and give the folder with its rows."""
    monkeypatch.setitem(TASKS, INTENTS.name, INTENTS)
    folder = Path("many/Intents")
    folder.mkdir(parents=True)
    words = WORDS.split()
    for split, copies in (("train", 10), ("dev", 3)):
        rows = [
            f"{' '.join([word] * (1 + copy % 4))}\tintent_{n}" for copy in range(copies) for n, word in enumerate(words)
        ]
        (folder / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    (folder / "test.tsv").write_text("\n".join(["index\tsentence", *(f"{n}\t{word}" for n, word in enumerate(words))]))
    return folder.parent


def test_twenty_labels(intents: Path, run: Run, small: dict[str, object]) -> None:
    options = {**small, "data.task": "intents", "data.root": intents, "data.batch_size": 20, "trainer.max_epochs": 12}
    options |= {"model.heads.pooling": "mean", "model.optimization.learning_rate": 5e-3}
    assert run("fit", **options) == 0
    folder = RunFolder("runs/run/version_0")
    exits = folder.read_exits("validation")
    assert exits.logits.shape == (3, 60, 20)
    assert torch.equal(exits.class_numbers(), torch.arange(60) % 20)
    accuracy = (exits.logits.argmax(-1) == exits.class_numbers()).double().mean(1)  # [exits]
    assert accuracy.min() > 0.9
    summary = json.loads((folder.path / "summary.json").read_text())["validation"]
    assert summary["exits"]["accuracy"] == pytest.approx(accuracy.tolist())
    assert set(summary["criteria"]) == {"voting", "patience", "confidence", "entropy"}
    assert set(summary["full_model"]) == {"accuracy", "matthews"}
    assert main(["predict", str(folder.path), "--criterion", "fixed", "--threshold", "3"]) == 0
    predicted = pd.read_csv(folder.path / "predictions.csv")["label"]
    assert sum(word == f"intent_{number}" for number, word in enumerate(predicted)) >= 18


def test_values(run: Run, small: dict[str, object]) -> None:
    task = REPOSITORY / "configs" / "tasks" / "stsb.yaml"
    del small["data.task"]
    options = {**small, "trainer.max_epochs": 20}
    options |= {"data.batch_size": 16, "model.heads.pooling": "mean"}
    options |= {"model.optimization.learning_rate": 5e-4, "model.optimization.head_learning_rate": 2e-2}
    assert run("fit", task, **options) == 0
    folder = Path("runs/run/version_0")
    summary = json.loads((folder / "summary.json").read_text())["validation"]
    assert min(summary["exits"]["pearson"]) > 0.8
    assert set(summary["criteria"]) == {"patience(tolerance=0.5)"}
    assert {"pearson", "spearman"} <= set(pd.read_csv(folder / "exit_scores.csv").columns)
    assert main(["predict", str(folder), "--criterion", "patience(tolerance=0.5)", "--threshold", "2"]) == 0
    predictions = pd.read_csv(folder / "predictions.csv")
    assert list(predictions.columns) == ["id", "label", "score", "exit_layer", "empty"]
    assert predictions["label"].corr(predictions["id"] % 6) > 0.8
