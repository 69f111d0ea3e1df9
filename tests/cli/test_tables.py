"""tables: many run folders in one table."""

import os
import pty
import re
import statistics
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from forked import Command
from page_runs import run_folder
from summaries import figures as figures_of
from wandb_service import ENTITY, ServedRun, WandbService

from ee_lightning.cli import main
from ee_lightning.runs.folder import RunFolder

Summary = dict[str, object]


def _summary(score: float, criterion: str = "voting", area: float | None = None) -> Summary:
    figures = {"area": score - 0.1 if area is None else area, "score_at_1x": score, "score_at_1.5x": score - 0.01}
    figures |= {"score_at_2x": score - 0.02, "score_at_3x": None}
    metrics = {"f1": figures, "accuracy": dict.fromkeys(figures, 0.5)}
    full = {"f1": score, "accuracy": 0.5}
    return figures_of(["f1", "accuracy"], task="mrpc", full_model=full, criteria={criterion: metrics})


@pytest.fixture
def add() -> Callable[..., RunFolder]:
    """Return a function that adds a training run to the folder ``runs``."""

    def _add(name: str, seed: int, summary: Summary | None, **options: object) -> RunFolder:
        number = len(list(Path("runs", name).glob("version_*")))
        folder = RunFolder(Path("runs", name, f"version_{number}"))
        folder.checkpoints.mkdir(parents=True)
        config = {
            "seed_everything": seed,
            "run": {"name": name, "root": f"runs{number}"},
            "data": {"task": "mrpc", "num_workers": number},
        }
        folder.config.write_text(yaml.safe_dump({**config, "model": {"objective": options}}))
        if summary is not None:
            folder.write_summary("validation", summary)
        return folder

    return _add


def test_seeds_are_one_row_and_options_are_told_apart(
    add: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {0.1: [0.80, 0.82, 0.87], 0.3: [0.70]}
    for weight, seeds in scores.items():
        for seed, score in enumerate(seeds):
            add("ours", seed, _summary(score), diversity_weight=weight, minimum="batch")
    add("pabee", 0, _summary(0.6, "patience"))
    again = ["runs/ours/version_0", str(Path("runs/pabee").resolve())]
    assert main(["tables", "runs", *again, "--output", "tables.csv"]) == 0
    table = pd.read_csv("tables.csv")
    assert set(table["metric"]) == {"f1", "accuracy"}
    assert "model.objective.minimum" not in table.columns  # in which runs of one name do not differ
    voting = table[(table["metric"] == "f1") & (table["criterion"] == "voting")].set_index(
        "model.objective.diversity_weight"
    )
    assert voting["runs"].to_dict() == {0.1: 3, 0.3: 1}
    assert voting.loc[0.1, "score_at_1x"] == pytest.approx(statistics.mean(scores[0.1]))
    assert voting.loc[0.1, "score_at_1x_std"] == pytest.approx(statistics.stdev(scores[0.1]))
    assert voting.loc[0.1, "area"] == pytest.approx(statistics.mean(scores[0.1]) - 0.1)
    assert pd.isna(voting.loc[0.3, "area_std"])
    assert voting["score_at_3x"].isna().all()
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert re.search(r"ours, diversity_weight 0.1 \(3 runs\)\n", printed)
    assert re.search(r"voting +83.0±3.6 +82.0±3.6 +81.0±3.6 +73.0±3.6", printed)
    assert re.search(r"pabee \(1 run\)\s+patience +60.0 +59.0 +58.0 +50.0\s+full model +60.0", printed)


def test_a_figure_that_one_seed_lacks_has_no_mean(add: Callable[..., RunFolder]) -> None:
    add("ours", 0, _summary(0.8))
    lacking = _summary(0.9)
    lacking["criteria"]["voting"]["f1"]["score_at_2x"] = None  # type: ignore[index]
    add("ours", 1, lacking)
    assert main(["tables", "runs/ours", "--output", "tables.csv"]) == 0
    (voting,) = pd.read_csv("tables.csv").query("metric == 'f1' and criterion == 'voting'").to_dict("records")
    assert pd.isna(voting["score_at_2x"])
    assert voting["score_at_1.5x"] == pytest.approx(0.84)


def test_what_did_not_finish_and_what_was_not_trained_is_left_out(
    add: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    add("ours", 0, _summary(0.8))
    unfinished = add("ours", 1, None)
    evaluated = add("ours", 0, _summary(0.8))
    evaluated.checkpoints.rmdir()
    assert main(["tables", "runs"]) == 0
    printed = capsys.readouterr().out
    assert f"left out, because they did not finish: {unfinished.path}" in printed
    assert "(1 run)" in printed


def test_a_picture_shows_the_criterion_that_is_best_over_all_seeds() -> None:
    for seed, areas in enumerate(({"voting": 0.8, "confidence": 0.79}, {"voting": 0.5, "confidence": 0.7})):
        folder = run_folder(Path("runs", f"mine-{seed}"), backbone="missing", seed=seed, name=f"mine-{seed}")
        folder.config.write_text(folder.config.read_text().replace(str(folder.path), "here"))
        figures = folder.read_figures("validation")
        for criterion, area in areas.items():
            figures["criteria"][criterion]["accuracy"]["area"] = area
        folder.write_summary("validation", figures)
    assert main(["tables", "runs", "--plot", "runs.svg"]) == 0
    assert "<!-- mine: confidence (n=2) -->" in Path("runs.svg").read_text()
    assert "voting" not in Path("runs.svg").read_text()


def test_nothing_to_compare_is_refused(add: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
    add("ours", 0, None)
    assert main(["tables", "runs"]) == 1
    assert re.search(r"no finished training run\s+where: runs\s+hint:", capsys.readouterr().err)


def test_a_damaged_configuration_is_named(add: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
    folder = add("ours", 0, _summary(0.8))
    folder.config.write_text("{}")
    assert main(["tables", "runs"]) == 1
    assert str(folder.config) in capsys.readouterr().err


@pytest.mark.parametrize("data", [{"task": "mrpc"}, {"class_path": "own_data.mrpc", "init_args": {}}])
def test_runs_of_a_project_are_compared_like_folders(
    data: dict[str, object], add: Callable[..., RunFolder], service: WandbService
) -> None:
    for seed, score in enumerate((0.8, 0.9)):
        folder = add("ours", seed, _summary(score), diversity_weight=0.1)
        figures = folder.read_figures("validation")["criteria"]["voting"]["f1"]
        summary = {f"val/voting/{name}": value for name, value in figures.items() if value is not None}
        summary |= {"val/full_model/score": score, "val/oracle/score": 1.0, "val/curves": {"_type": "table-file"}}
        options = yaml.safe_load(folder.config.read_text()) | {"data": data}
        service.runs[f"run{seed}"] = ServedRun(
            f"run{seed}", config={"resolved_config": options}, summary=summary, exit_code=0
        )
    service.runs["failed"] = ServedRun("failed", config={"resolved_config": options}, summary=summary, exit_code=1)
    service.runs["replay"] = ServedRun("replay", config={"curves": {}}, summary=summary, exit_code=0)
    tables = Command("tables", "--wandb", f"{ENTITY}/ee_lightning", "--output", "of_project.csv")
    assert tables.ends() == 0, tables.printed
    assert "left out, because they did not finish: failed" in tables.printed
    assert main(["tables", "runs", "--output", "of_folders.csv"]) == 0
    of_project, of_folders = (pd.read_csv(f"of_{source}.csv") for source in ("project", "folders"))
    of_folders = of_folders[of_folders["metric"] == "f1"].assign(metric="score")
    pd.testing.assert_frame_equal(of_project, of_folders, check_like=True)


def test_a_project_that_is_not_there_is_refused(service: WandbService) -> None:
    service.answers["Runs"] = lambda _: {"project": None}
    refused = Command("tables", "--wandb", f"{ENTITY}/nowhere")
    assert refused.ends() == 1
    assert re.search(r"nowhere[\s\S]*hint:.*ENTITY/PROJECT", refused.printed)


@pytest.mark.parametrize("lacking", ["account", "answer"])
def test_without_account_or_answer_nothing_is_asked_at_a_terminal(
    lacking: str, service: WandbService, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking == "account":
        monkeypatch.delenv("WANDB_API_KEY")
    else:
        monkeypatch.setenv("WANDB_BASE_URL", "http://nowhere.invalid")
    master, terminal = pty.openpty()
    name = os.ttyname(terminal)
    refused = Command("tables", "--wandb", f"{ENTITY}/ee_lightning", stdin=name, stdout=name)
    assert refused.ends() == 1
    os.close(master)
    os.close(terminal)
    said = {"account": r"no account of W&B[\s\S]*hint:.*wandb login", "answer": "nowhere.invalid can't be reached"}
    assert re.search(said[lacking], refused.printed)


@pytest.mark.parametrize("given", [[], ["runs", "--wandb", "someone/ee_lightning"]])
def test_folders_or_a_project_are_needed(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", *given]) == 1
    assert "folders are needed, or else --wandb ENTITY/PROJECT, and not both" in capsys.readouterr().err


def test_brackets_in_names_are_no_markup(add: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
    add("[red]x[nope]", 0, _summary(0.5, "[/no]"))
    assert main(["tables", "runs"]) == 0
    printed = capsys.readouterr().out
    assert "[red]x[nope]" in printed
    assert "[/no]" in printed
