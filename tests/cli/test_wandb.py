"""Weights & Biases, without an account or a network; what is answered and read here is that of wandb 0.31."""

import json
import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
import wandb
import yaml
from forked import Command
from wandb.proto.wandb_internal_pb2 import Record
from wandb.sdk.lib import wbauth
from wandb_service import WandbService

from ee_lightning.cli import main
from ee_lightning.runs.folder import RunFolder
from ee_lightning.tracking.start import start_run

REPOSITORY = Path(__file__).parents[2]
WANDB = REPOSITORY / "configs" / "trainer" / "wandb.yaml"
KEY = "0" * 40
FOLDER = Path("runs/run/version_0")
BLOCK = 32768


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Set W&B variables and a home without an account for a test."""
    wandb.teardown()
    wbauth.unauthenticate_session(update_settings=False)
    for name in [name for name in os.environ if name.startswith("WANDB_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield monkeypatch
    wandb.teardown()


@pytest.fixture
def silent() -> Iterator[int]:
    """Yield the port of something that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_offline_run_holds_what_the_run_folder_holds(
    run: Callable[..., int], small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    learning = {"model.heads.pooling": "mean", "model.optimization.learning_rate": 5e-3, "data.batch_size": 16}
    worst = {"checkpoint.mode": "min", "trainer.max_epochs": 3, **learning}
    assert run("fit", WANDB, **{**small, **worst}) == 0
    assert capsys.readouterr().err.count("wandb: WARNING") == 0
    (offline,) = Path("runs/wandb").glob("offline-run-*")
    history, summary, config, axes = _read(offline)

    def table(logged: dict[str, object]) -> pd.DataFrame:
        text = (offline / "files" / str(logged["path"])).read_text()
        content = json.loads(text, parse_constant=_refuse)
        return pd.DataFrame(content["data"], columns=content["columns"])

    curves = pd.read_csv(FOLDER / "curves.csv", dtype={"threshold": str})
    logged = table(summary["val/curves"])
    assert logged["criterion"].tolist() == curves["criterion"].tolist()
    assert logged["threshold"].map(float).tolist() == curves["threshold"].map(float).tolist()
    assert logged["threshold"][0] == "inf"
    for column in ("speedup", "mean_exit", "accuracy"):
        assert logged[column].tolist() == curves[column].tolist()
    assert (offline / "files" / summary["val/curves_picture"]["path"]).read_bytes() == (
        FOLDER / "curves.png"
    ).read_bytes()

    results = json.loads((FOLDER / "summary.json").read_text())["validation"]
    chart = table(summary["val/accuracy_by_speedup_table"])
    criteria = set(curves["criterion"]) - {"oracle"}
    assert set(chart["lineKey"]) == criteria | {"oracle", "full model"}
    assert config["_wandb"]["visualize"]["val/accuracy_by_speedup"]["panel_config"]["panelDefId"] == (
        "wandb/lineseries/v0"
    )
    for name in criteria:
        drawn, traced = chart[chart["lineKey"] == name], curves[curves["criterion"] == name]
        assert drawn[["step", "lineVal"]].values.tolist() == traced[["speedup", "accuracy"]].values.tolist()
    markers = {"full model": (1, results["full_model"]["accuracy"]), "oracle": tuple(results["oracle"].values())}
    for name, (speedup, accuracy) in markers.items():
        cross = chart[chart["lineKey"] == name]
        assert (cross["step"].median(), cross["lineVal"].median()) == (speedup, accuracy)
        assert cross["step"].is_monotonic_increasing  # as the chart sorts the points of a line
        assert cross["step"].nunique() == cross["lineVal"].nunique() == 3

    epochs = [row for row in history if "val/voting/area" in row]
    assert [row["epoch"] for row in epochs] == [0, 1, 2]  # and no row of the evaluation after training
    assert [row["epoch"] for row in history if "val/exits" in row][:3] == [0, 1, 2]
    assert [row["epoch"] for row in history if "val/accuracy_by_speedup_table" in row][:3] == [0, 1, 2]
    assert axes == {"train/*": "trainer/global_step", "lr-*": "trainer/global_step", "val/*": "epoch"}
    by_epoch = [row["val/voting/area"] for row in epochs]
    kept = results["criteria"]["voting"]["accuracy"]["area"]
    assert kept == pytest.approx(min(by_epoch))
    assert kept < by_epoch[-1] - 0.01  # or the next lines would not tell the best checkpoint from the last

    for criterion, by_metric in results["criteria"].items():
        for name, value in by_metric["accuracy"].items():
            assert summary[f"val/{criterion}/{name}"] == value
    for name in ("score", "accuracy"):
        assert summary[f"val/{name}"] == pytest.approx(results["full_model"]["accuracy"])
    assert summary["val/oracle/speedup"] == results["oracle"]["speedup"]
    assert table(summary["val/exits"])["accuracy"].tolist() == pytest.approx(results["exits"]["accuracy"])
    drawn = table(summary["val/scores_by_exit_table"])
    assert drawn["lineVal"].tolist() == pytest.approx(results["exits"]["accuracy"])
    assert [summary[f"val/exit_{m}/score"] for m in (1, 2, 3)] == pytest.approx(results["exits"]["accuracy"])

    diagnostics = json.loads((FOLDER / "diagnostics.json").read_text())["validation"]
    for name in ("overthinking", "late_correction"):
        assert summary[f"val/{name}"] == diagnostics[name]
    assert summary["val/diversity/disagreement"] == diagnostics["diversity"]["disagreement"]["mean"]
    assert summary["val/information/relevancy"] == diagnostics["information"]["relevancy"]
    pairs = table(summary["val/pairs_of_exits"])
    assert pairs[["exit", "later_exit"]].values.tolist() == [[1, 2], [1, 3], [2, 3]]
    matrix = diagnostics["diversity"]["double_fault"]["matrix"]
    assert pairs["double_fault"].tolist() == [matrix[0][1], matrix[0][2], matrix[1][2]]
    samples = diagnostics["exit_histograms"]["voting"]["1.5x"]["samples"]
    histograms = table(summary["val/exit_histograms"]).groupby(["criterion", "at"])["samples"]
    assert histograms.get_group(("voting", "1.5x")).tolist() == samples
    exits = RunFolder(FOLDER).read_exits("validation")
    classes = table(summary["val/classes"])
    assert classes["samples"].tolist() == torch.bincount(exits.class_numbers()).tolist()
    right = exits.predictions[-1] == exits.class_numbers()
    assert (classes["recall"] * classes["samples"]).sum() == pytest.approx(right.sum().item())
    told = table(summary["val/confusion_table"])
    assert told["nPredictions"].sum() == len(right)
    assert told[told["Actual"] == told["Predicted"]]["nPredictions"].sum() == right.sum()
    assert set(table(summary["val/calibration_table"])["lineKey"]) == {"exit 1", "exit 2", "exit 3"}
    drawn = table(summary["val/exit_histogram_at_1.5x_table"])
    assert drawn[drawn["lineKey"] == "voting"]["lineVal"].tolist() == samples

    assert set(config) == {"_wandb", "resolved_config"}
    assert config["resolved_config"] == yaml.safe_load((FOLDER / "config.yaml").read_text())


@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO name='sweep.yaml'")  # which wandb leaves open
def test_configuration_does_not_collide_with_what_a_sweep_has_locked(
    environment: pytest.MonkeyPatch,
    run: Callable[..., int],
    small: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    swept = "model.objective.init_args.diversity_weight"
    Path("sweep.yaml").write_text(yaml.safe_dump({"wandb_version": 1, swept: {"value": 0.3}}))
    for name, value in {"MODE": "offline", "SWEEP_ID": "abc", "SWEEP_PARAM_PATH": "sweep.yaml"}.items():
        environment.setenv(f"WANDB_{name}", value)
    assert run("fit", WANDB, **small, **{"model.objective": "EnsembleObjective", swept: 0.3}) == 0
    (offline,) = Path("runs/wandb").glob("offline-run-*")
    _, _, config, _ = _read(offline)
    assert config[swept] == 0.3
    assert config["resolved_config"]["model"]["objective"]["init_args"]["diversity_weight"] == 0.3
    assert "locked" not in capsys.readouterr().err


def test_proxy_that_hangs_costs_seconds(environment: pytest.MonkeyPatch, silent: int, small: dict[str, object]) -> None:
    for name, value in {"HTTPS_PROXY": f"http://127.0.0.1:{silent}", "WANDB_API_KEY": KEY}.items():
        environment.setenv(name, value)
    environment.setenv("WANDB_MODE", "online")
    options = {**small, "trainer.logger.init_args.start_timeout": 3}
    fit = Command("fit", "--config", WANDB, *(f"--{name}={value}" for name, value in options.items()))
    assert fit.ends() == 0, fit.printed
    _assert_complete(FOLDER)
    assert "can't be reached. This run is kept offline" in fit.printed
    _assert_names_a_run(fit.printed)


@pytest.mark.parametrize(
    "variables",
    [
        {"WANDB_BASE_URL": "http://127.0.0.1:{silent}"},
        {"HTTPS_PROXY": "http://127.0.0.1:{silent}"},
        {"WANDB_BASE_URL": "https://nowhere.invalid"},
    ],
)
def test_what_does_not_answer_is_not_waited_for(
    variables: dict[str, str], environment: pytest.MonkeyPatch, silent: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"WANDB_API_KEY": KEY, "WANDB_MODE": "online", **variables}.items():
        environment.setenv(name, value.format(silent=silent))
    started = start_run({"project": "ee_lightning"}, start_timeout=3, finish_timeout=3, folder=None)
    assert started.offline
    started.finish()
    printed = capsys.readouterr().err
    assert "can't be reached. This run is kept offline" in printed
    assert _assert_names_a_run(printed).is_dir()


def test_without_an_account_the_run_is_kept_offline(
    environment: pytest.MonkeyPatch,
    service: WandbService,
    run: Callable[..., int],
    small: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.delenv("WANDB_API_KEY")
    assert run("fit", WANDB, **small) == 0
    printed = capsys.readouterr().err
    assert "there is no account on this machine, which `wandb login` would set up" in printed
    history, *_ = _read(_assert_names_a_run(printed))
    assert any("val/voting/area" in row for row in history)


def test_options_that_wandb_refuses_end_the_run_before_it_trains(
    environment: pytest.MonkeyPatch, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**small, "trainer.logger.init_args.project": "a/b"}
    arguments = ["fit", "--config", str(WANDB), *(f"--{name}={value}" for name, value in options.items())]
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert "W&B refuses to start a run" in printed
    assert "WANDB_MODE=disabled" in printed
    assert not (FOLDER / "metrics.csv").exists()


def test_failure_of_wandb_loses_no_training(
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., int],
    small: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = []

    def fail(self: wandb.Run, *_: object, **__: object) -> None:
        calls.append("log")
        raise OSError("no space left on device")

    monkeypatch.setattr(wandb.Run, "log", fail)
    assert run("fit", WANDB, **small) == 0
    assert calls == ["log"]  # and none after it
    _assert_complete(FOLDER)
    assert "W&B: nothing more is logged there, because of OSError: no space left" in capsys.readouterr().err


def test_disabled_run_leaves_nothing(
    environment: pytest.MonkeyPatch, run: Callable[..., int], small: dict[str, object]
) -> None:
    environment.setenv("WANDB_MODE", "disabled")
    assert run("fit", WANDB, **small) == 0
    _assert_complete(FOLDER)
    assert not Path("runs/wandb").exists()


def test_wandb_keeps_its_files_beside_the_run_folders(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--config", str(WANDB), "--run.root", "elsewhere", "--model.backbone", "x", "--print_config"])
    (logger,) = yaml.safe_load(capsys.readouterr().out)["trainer"]["logger"]
    assert logger["init_args"]["save_dir"] == "elsewhere"


def test_wandb_is_off_unless_asked_for(run: Callable[..., int], small: dict[str, object]) -> None:
    assert run("fit", **small) == 0
    assert wandb.run is None
    assert not Path("runs/wandb").exists()
    assert not Path("wandb").exists()


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _assert_complete(folder: Path) -> None:
    for name in ("config.yaml", "metrics.csv", "exit_scores.csv", "curves.csv", "curves.png", "summary.json"):
        assert (folder / name).is_file()
    assert (folder / "exits" / "validation.safetensors").is_file()


def _assert_names_a_run(printed: str) -> Path:
    """Find the folder that the notice says `wandb sync` would upload."""
    named = re.search(r"^W&B: .* later: wandb sync (?:--include-online )?(\S+)$", printed, re.MULTILINE)
    assert named is not None, printed
    return Path(named[1])


def _read(run: Path) -> tuple[list[dict[str, object]], dict[str, object], dict[str, object], dict[str, str]]:
    """Read history, summary, configuration and axes of what `wandb sync` would upload."""
    wandb.teardown()  # or W&B's process may still be writing
    history, summary, config, axes = [], {}, {}, {}
    (file,) = run.glob("*.wandb")
    for record in _records(file.read_bytes()):
        if record.HasField("history"):
            history.append(_merged({}, record.history.item))
        elif record.HasField("summary"):
            _merged(summary, record.summary.update)
        elif record.HasField("config"):
            _merged(config, record.config.update)
        elif record.HasField("run"):
            _merged(config, record.run.config.update)
        elif record.HasField("metric") and record.metric.glob_name:
            axes[record.metric.glob_name] = record.metric.step_metric
    return history, summary, config, axes


def _records(content: bytes) -> Iterator[Record]:
    """Yield the records of a ``.wandb`` file: after 7 bytes, LevelDB's format of logs, in blocks of 32 KiB."""
    position, whole = 7, b""
    while position + 7 <= len(content):
        if (left := BLOCK - position % BLOCK) < 7:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        whole += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in {1, 4}:  # complete, or the last part
            yield Record.FromString(whole)
            whole = b""


def _merged(values: dict[str, object], items: object) -> dict[str, object]:
    for item in items:
        *above, name = list(item.nested_key) or [item.key]
        place = values
        for key in above:
            place = place.setdefault(key, {})
        place[name] = json.loads(item.value_json)
    return values
