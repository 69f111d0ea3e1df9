"""Weights & Biases, without an account or a network."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import wandb

REPOSITORY = Path(__file__).parents[2]


def test_offline_run_holds_table_and_chart_of_the_run_folder(run: Callable[..., int], small: dict[str, object]) -> None:
    assert run("fit", REPOSITORY / "configs" / "trainer" / "wandb.yaml", **small) == 0
    summary = dict(wandb.run.summary)
    wandb.finish()
    folder, (offline,) = Path("runs/run/version_0"), Path("runs/wandb").glob("offline-run-*")

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    def table(key: str) -> pd.DataFrame:
        (file,) = offline.glob(f"files/media/table/val/{key}_*.table.json")
        content = json.loads(file.read_text(), parse_constant=refuse)
        return pd.DataFrame(content["data"], columns=content["columns"])

    curves = pd.read_csv(folder / "curves.csv")
    logged = table("curves")
    assert logged["criterion"].tolist() == curves["criterion"].tolist()
    for column in ("speedup", "mean_exit", "accuracy"):
        assert logged[column].tolist() == curves[column].tolist()
    chart = table("accuracy_by_speedup_table")
    assert set(chart["lineKey"]) == set(curves["criterion"])
    assert table("exits")["accuracy"].tolist() == pd.read_csv(folder / "exit_scores.csv")["accuracy"].tolist()

    figures = json.loads((folder / "summary.json").read_text())["validation"]["criteria"]
    for criterion, by_metric in figures.items():
        for name, value in by_metric["accuracy"].items():
            assert summary[f"val/{criterion}/{name}"] == value


def test_wandb_is_off_unless_asked_for(run: Callable[..., int], small: dict[str, object]) -> None:
    assert run("fit", **small) == 0
    assert wandb.run is None
    assert not Path("runs/wandb").exists()
    assert not Path("wandb").exists()
