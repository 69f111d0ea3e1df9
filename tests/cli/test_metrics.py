"""Metrics that are asked for: what a run reports, and what curves, choose and tables make of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ee_lightning.cli import main

ASKED = ["macro_f1", "class_recall", "auroc"]
VOTING = ["--criterion", "voting", "--max-loss", "1"]
NAMED = ["macro_f1", "recall_0", "recall_1", "auroc"]


def test_a_run_reports_the_metrics_that_are_asked_for(
    run: Callable[..., int], small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", **small, **{"data.metrics": f"[{','.join(ASKED)}]", "seed_everything": 0}) == 0
    assert "full model: recall_0 " in capsys.readouterr().out
    folder = Path("runs/run/version_0")
    assert set(NAMED) <= set(pd.read_csv(folder / "exit_scores.csv").columns)
    assert {f"val/{name}" for name in NAMED} <= set(pd.read_csv(folder / "metrics.csv").columns)
    summary = json.loads((folder / "summary.json").read_text())["validation"]
    assert (summary["metrics"], list(summary["full_model"])) == (NAMED[:3], NAMED)
    assert set(NAMED[:3]) <= set(pd.read_csv(folder / "curves.csv").columns)

    assert main(["curves", str(folder)]) == 0  # which keeps them all
    assert json.loads((folder / "summary.json").read_text())["validation"]["exits"] == summary["exits"]
    assert main(["choose", str(folder), "--criterion", "confidence", "--max-loss", "50", "--metric", "recall_1"]) == 0
    assert main(["tables", "runs", "--metric", "recall_0", "--output", "tables.csv"]) == 0
    assert "recall_0 (%) by speed-up" in capsys.readouterr().out
    assert set(pd.read_csv("tables.csv")["metric"]) == set(NAMED[:3])


def test_curves_take_metrics_that_the_run_had_not(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curves", str(finished), "--metrics", "weighted_f1, class_precision,average_precision"]) == 0
    assert "weighted_f1 (%) by speed-up" in capsys.readouterr().out
    summary = json.loads((finished / "summary.json").read_text())["validation"]
    assert list(summary["exits"]) == ["weighted_f1", "precision_0", "precision_1", "average_precision"]
    assert {"weighted_f1", "precision_0"} <= set(pd.read_csv(finished / "curves.csv").columns)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["curves", "RUN", "--metrics", "macro-f1"], "did you mean macro_f1?"),
        (["curves", "RUN", "--metrics", "auroc"], "name accuracy first"),
        (
            ["choose", "RUN", *VOTING, "--metric", "acuracy"],
            "did you mean accuracy?",
        ),
        (["tables", "runs", "--metric", "acuracy"], "did you mean accuracy?"),
    ],
    ids=lambda value: " ".join(value[::3]) if isinstance(value, list) else None,
)
def test_unknown_metrics_are_refused(
    command: list[str], said: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(finished) if word == "RUN" else word for word in command]) == 1
    assert said in capsys.readouterr().err
