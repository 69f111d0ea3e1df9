"""Lightning's own loggers, its summary and its `trainer.predict`, with early exit."""

import csv
import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.loggers import MLFlowLogger
from tensorboardX.proto.event_pb2 import Event

from ee_lightning.cli import main
from ee_lightning.data.custom import CustomTask
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits import Confidence, Fixed
from ee_lightning.fit.loggers import name_after_run
from ee_lightning.fit.metrics_log import MetricsLog
from ee_lightning.fit.prediction_writer import PredictionWriter
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.tracking import TrackioLogger
from ee_lightning.training import EarlyExitModule, TaskDataModule
from ee_lightning.training.objectives.joint import JointObjective

QUICK = {
    "data.task": "sst2",
    "data.max_length": 32,
    "model.heads.pooling": "mean",
    "trainer.max_epochs": 1,
    "trainer.limit_train_batches": 3,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
    "trainer.log_every_n_steps": 1,
}
Printed = tuple[Path, str]


def events(folder: Path) -> Iterator[Event]:
    """Read what TensorBoard's files in a folder hold."""
    for file in folder.glob("events.out.tfevents.*"):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


@pytest.fixture(scope="module")
def run(glue_folder: Path, tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("logged")
    options = {"config": "tensorboard", "run.root": root, "run.name": "mine", **QUICK}
    options |= {"data.root": glue_folder, "model.backbone": tiny_backbone}
    assert main(["fit", *(f"--{name}={value}" for name, value in options.items())]) == 0
    return root / "mine" / "version_0"


def test_tensorboard_lies_in_the_run_folder_with_figures_and_curves(run: Path) -> None:
    values = {value.tag: value for event in events(run) for value in event.summary.value}
    assert {"val/full_model/score", "val/confidence/area"} <= values.keys()
    picture = values["val/curves"].image
    assert picture.encoded_image_string.startswith(b"\x89PNG")
    assert [each.name for each in run.parent.iterdir()] == ["version_0"]


def test_parameters_are_counted_and_flops_are_not(
    glue_folder: Path, tiny_backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"run.root": tmp_path, **QUICK, "data.root": glue_folder, "model.backbone": tiny_backbone}
    options |= {"trainer.limit_train_batches": 1, "model.optimization.freeze_backbone": "true"}
    assert main(["fit", *(f"--{name}={value}" for name, value in options.items())]) == 0
    printed = "".join(capsys.readouterr())
    assert "FLOPs" not in printed
    assert "backbone (bert, 3 layers): 0 of 28,864 parameters (0.0%) are trained" in printed
    assert "3 exits: 3,366 of 3,366 parameters (100.0%) are trained" in printed


def test_the_trainer_predicts_labels_and_exits_and_writes_them(
    run: Path, glue_folder: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    (checkpoint,) = [file for file in (run / "checkpoints").glob("*.ckpt") if file.name != "last.ckpt"]
    module = EarlyExitModule.load_from_checkpoint(checkpoint)
    module.operating_point = (Confidence(), 0.55)
    data = TaskDataModule("sst2", root=str(glue_folder), tokenizer=str(tiny_backbone), max_length=32)
    writer = PredictionWriter(tmp_path / "new" / "labels.csv")
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[writer])
    found = trainer.predict(module, data)
    labels, exits = (torch.cat([getattr(each, name) for each in found]) for name in ("label", "exit_layer"))
    with writer.file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["exit_layer"]) for row in rows] == exits.tolist()
    assert [row["label"] for row in rows] == [("negative", "positive")[label] for label in labels.tolist()]
    predictor = EarlyExitPredictor.from_run(run, criterion="confidence", threshold=0.55)
    texts = {int(row["id"]): row for row in data.rows("test")}
    assert {int(row["id"]) for row in rows} == texts.keys()
    engine = predictor.engine.predict_batch
    for row in rows[:8]:
        ids = torch.tensor([texts[int(row["id"])]["input_ids"]])  # [1, length]
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        assert int(row["exit_layer"]) == engine(batch).exit_layers.item()


def test_several_labels_are_written_as_the_task_has_them(tiny_backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\n" + "a film,dull; dark\n" * 4)
    (tmp_path / "test.csv").write_text("text\na film\n")
    own = CustomTask(["text"], multi_label=True, label_separator="; ", validation_share=0)
    data = TaskDataModule("mine", str(tmp_path), str(tiny_backbone), own=own, max_length=32)
    torch.manual_seed(0)
    module = EarlyExitModule(str(tiny_backbone), data.num_classes, data.metrics, JointObjective(), multi_label=True)
    module.operating_point = (Fixed(), 1.0)
    for linear in module.model.heads.classifiers:
        torch.nn.init.constant_(linear.bias, 9.0)  # so that all labels are there
    writers = [PredictionWriter(tmp_path / "of_task.csv"), PredictionWriter(tmp_path / "of_user.csv", ",")]
    Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[*writers]).predict(module, data)
    found = [file.read_text().splitlines()[1] for file in (writer.file for writer in writers)]
    assert found == ["0,dark; dull,1", '0,"dark,dull",1']


def test_mlflow_has_the_name_of_the_run_and_the_curves(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not among what make setup installs")
    logger = MLFlowLogger(save_dir=str(tmp_path / "mlruns"))
    name_after_run([logger], MetricsLog(tmp_path, "mine", 3))
    assert (logger._experiment_name, logger._run_name) == ("mine", "mine/version_3")


def test_trackio_has_metrics_tables_and_the_picture_of_the_run(
    glue_folder: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trackio", reason="trackio is not among what make setup installs")
    options = {"config": "trackio", "run.root": tmp_path / "runs", "run.name": "mine", **QUICK}
    options |= {"data.root": glue_folder, "model.backbone": tiny_backbone, "trainer.max_epochs": 2}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "ee_lightning", "fit", *arguments]
    folder = tmp_path / "trackio"  # which trackio reads when it is imported
    subprocess.run(command, check=True, env={**os.environ, "TRACKIO_DIR": str(folder)}, cwd=tmp_path)
    with sqlite3.connect(folder / "ee_lightning.db") as database:
        rows = database.execute("SELECT run_name, metrics FROM metrics").fetchall()
    (name,) = {name for name, _ in rows}
    assert name.startswith("mine/version_0 ")
    logged = {name: value for _, metrics in rows for name, value in json.loads(metrics).items()}
    assert {"train/loss", "val/score", "val/confidence/area"} <= logged.keys()
    exits = logged["val/exits"]["_value"]
    assert [row["exit"] for row in exits] == [1, 2, 3]
    assert {"criterion", "threshold", "speedup"} <= logged["val/curves"]["_value"][0].keys()
    assert [row["class"] for row in logged["val/classes"]["_value"]] == [0, 1]
    assert logged["val/curves_picture"]["_type"] == "trackio.image"


def _run_of_trackio(name: str) -> MagicMock:
    run = MagicMock()
    run.name = name
    return run


def test_trackio_keeps_runs_of_one_name_apart_and_goes_on_with_that_of_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trackio = MagicMock()
    trackio.init.side_effect = lambda *, name, **_: _run_of_trackio(name)
    monkeypatch.setitem(sys.modules, "trackio", trackio)
    names = []
    for root, day in (("a", 1), ("b", 2), ("a", 3)):
        monkeypatch.setattr(
            "ee_lightning.tracking.trackio_logger.datetime", MagicMock(now=lambda day=day: datetime(2026, 1, day))
        )
        logger = TrackioLogger()
        name_after_run([logger], MetricsLog(tmp_path / root, "mine", 0))
        logger.log_metrics({"loss": 1.0}, step=0)
        logger.finalize("success")
        logger.log_metrics({"loss": 1.0}, step=1)
        first, again = (call.kwargs["name"] for call in trackio.init.call_args_list[-2:])
        assert first == again
        names.append(first)
    assert names[0] == names[2] == "mine/version_0 2026-01-01 00:00:00"
    assert names[1] == "mine/version_0 2026-01-02 00:00:00"
    (tmp_path / "a" / "mine" / "version_0" / "trackio.json").write_text("{")
    logger = TrackioLogger()
    name_after_run([logger], MetricsLog(tmp_path / "a", "mine", 0))
    with pytest.raises(RunFolderError, match=r"trackio.json[\s\S]*delete it"):
        logger.log_metrics({"loss": 1.0}, step=0)


def test_what_trackio_needs_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(OptionError, match=r"trackio is not installed[\s\S]*pip install trackio"):
        TrackioLogger()
    assert main(["fit", "--config", "demo", "--config", "trackio"]) == 1
    said = capsys.readouterr().err
    assert "error: trackio is not installed\n  where: TrackioLogger\n  hint:  pip install trackio" in said
    assert "Union" not in said
