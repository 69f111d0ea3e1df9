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

    diagnostics = json.loads((folder / "diagnostics.json").read_text())["validation"]
    for name in ("overthinking", "late_correction"):
        assert summary[f"val/{name}"] == diagnostics[name]
    assert summary["val/diversity/disagreement"] == diagnostics["diversity"]["disagreement"]["mean"]
    assert summary["val/information/redundancy"] == diagnostics["information"]["redundancy"]
    pairs = table("pairs_of_exits")
    assert pairs[["exit", "later_exit"]].values.tolist() == [[1, 2], [1, 3], [2, 3]]
    matrix = diagnostics["diversity"]["double_fault"]["matrix"]
    assert pairs["double_fault"].tolist() == [matrix[0][1], matrix[0][2], matrix[1][2]]
    histograms = table("exit_histograms").groupby(["criterion", "at"])["samples"]
    assert (
        histograms.get_group(("voting", "1.5x")).tolist() == diagnostics["exit_histograms"]["voting"]["1.5x"]["samples"]
    )

    figures = json.loads((folder / "summary.json").read_text())["validation"]["criteria"]
    for criterion, by_metric in figures.items():
        for name, value in by_metric["accuracy"].items():
            assert summary[f"val/{criterion}/{name}"] == value


def test_wandb_is_off_unless_asked_for(run: Callable[..., int], small: dict[str, object]) -> None:
    assert run("fit", **small) == 0
    assert wandb.run is None
    assert not Path("runs/wandb").exists()
    assert not Path("wandb").exists()
