"""Rows are measured on the clock at their own operating points."""

import shutil
from dataclasses import replace

import pytest
from rich.console import Console

from ee_lightning import __version__
from ee_lightning.cli import main
from ee_lightning.files import read_json
from ee_lightning.reproduce.evaluation import evaluate, measure_rows
from ee_lightning.reproduce.identity import Identifier
from ee_lightning.reproduce.plan import locked_run
from ee_lightning.reproduce.suite import FitOptions, Row
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.run_options import options_digest

ROWS = (
    Row("Confidence", "ours", "confidence", 1.5),
    Row("Voting", "ours", "voting", 1.5),
    Row("Last", "ours"),
    Row("Oracle", "ours", "oracle"),
)
KEY = ("RTE", "ours", 1)


@pytest.fixture(scope="module")
def options(tmp_path_factory, glue_folder, tiny_backbone):
    """Return the options of a small training."""
    return {
        "run.root": tmp_path_factory.mktemp("clock") / "runs",
        "data.task": "rte",
        "data.root": glue_folder,
        "data.max_length": 32,
        "data.calibration": 20,
        "model.backbone": tiny_backbone,
        "trainer.max_epochs": 1,
        "trainer.log_every_n_steps": 1,
        "trainer.limit_val_batches": 1,
        "data.eval_batch_size": 16,
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false",
    }


@pytest.fixture(scope="module")
def train(options):
    """Return a function that trains a tiny model, with other options if asked."""

    def _train(name, **others):
        given = options | {"run.name": name} | {name.replace("__", "."): value for name, value in others.items()}
        assert main(["fit", *(f"--{name}={value}" for name, value in given.items())]) == 0
        return options["run.root"] / name

    return _train


@pytest.fixture(scope="module")
def trained(train):
    return train("run")


@pytest.fixture
def folder(trained, tmp_path):
    return RunFolder(shutil.copytree(trained, tmp_path / "runs" / "run") / "version_0")


def test_fit_notes_what_reproduce_knows_the_run_by(trained, options):
    noted = read_json(trained / "version_0" / "identity.json")
    given = FitOptions(options={name: str(value) for name, value in options.items()})
    assert noted == {"config": options_digest(Identifier().resolve(given)), "version": __version__}


def test_every_operating_point_is_measured_once(make_suite, folder, tmp_path, capsys):
    suite = make_suite(*ROWS)
    assert measure_rows(suite, {KEY: folder}, tmp_path, Console(width=200))
    assert capsys.readouterr().out == "on the clock [1/1]: RTE, ours, seed 1\n"
    found = evaluate(suite, {KEY: folder})
    points = set()
    for (_, row, _), outcome in found.outcomes.items():
        assert (outcome.wall_speedup is None) == (row.label == "Oracle")
        if outcome.wall_speedup is not None:
            points.add((row.criterion or "fixed", outcome.threshold))
    written = folder.read_speed()["validation"]
    assert {(each.criterion, each.threshold) for each in written} == points
    assert [each.batch_size for each in written] == ["32"] * len(points)
    before = (folder.path / "speed.csv").read_bytes()
    assert not measure_rows(suite, {KEY: folder}, tmp_path, Console())
    assert capsys.readouterr().out == ""
    assert (folder.path / "speed.csv").read_bytes() == before


def test_the_first_layers_are_measured_beside_the_whole_backbone(make_suite, train, tmp_path):
    last = "ee_lightning.training.LastExitObjective"
    run = train("2l", model__num_layers=2, model__heads__exits="last", model__objective=last, sweep__criteria="[]")
    suite, key = make_suite(Row("2L", "2l", speedup=1.5)), ("RTE", "2l", 1)
    folders = {key: RunFolder(run / "version_0")}
    assert measure_rows(suite, folders, tmp_path, Console())
    (outcome, *_) = evaluate(suite, folders).outcomes.values()
    assert outcome.layer_speedup == 1.5
    assert outcome.wall_speedup > 0
    assert {(each.criterion, each.threshold, each.full_layers) for each in folders[key].read_speed()["validation"]} == {
        ("fixed", 1.0, 3)
    }


def test_a_run_of_two_names_is_measured_once(make_suite, folder, tmp_path, capsys):
    suite = make_suite(Row("Last", "ours"), Row("Voting", "same", "voting", 1.5))
    measure_rows(suite, {KEY: folder, ("RTE", "same", 1): folder}, tmp_path, Console(width=200))
    assert capsys.readouterr().out == "on the clock [1/1]: RTE, ours, seed 1\n"
    assert {each.criterion for each in folder.read_speed()["validation"]} == {"fixed", "voting"}


def test_what_was_measured_before_stays(make_suite, folder, tmp_path):
    suite = make_suite(*ROWS[:2])
    measure_rows(make_suite(ROWS[0]), {KEY: folder}, tmp_path, Console())
    (first, *_) = folder.read_speed()["validation"]
    elsewhere = replace(first, threshold=first.threshold / 2, layer_speedup=40.0)
    folder.write_speed("validation", [elsewhere])
    measure_rows(suite, {KEY: folder}, tmp_path, Console())
    after = folder.read_speed()["validation"]
    assert after[0] == elsewhere
    assert {each.criterion for each in after} == {"confidence", "voting"}


def test_a_run_that_is_at_work_is_left_alone(make_suite, folder, tmp_path):
    with locked_run(tmp_path, "run"):
        measure_rows(make_suite(*ROWS), {KEY: folder}, tmp_path, Console())
    assert folder.read_speed() == {}


def test_speeds_that_cannot_be_read_are_measured_again(make_suite, folder, tmp_path, capsys):
    file = folder.path / "speed.csv"
    file.write_text("split,what\nvalidation,nothing\n")
    assert measure_rows(make_suite(ROWS[0]), {KEY: folder}, tmp_path, Console(width=200))
    assert f"deleted, and measured again: {file}: speed.csv can't be read" in capsys.readouterr().out
    assert {each.criterion for each in folder.read_speed()["validation"]} == {"confidence"}


def test_what_can_not_be_measured_is_told(make_suite, folder, tmp_path, capsys):
    for checkpoint in folder.checkpoints.glob("*.ckpt"):
        checkpoint.unlink()
    measure_rows(make_suite(*ROWS), {KEY: folder}, tmp_path, Console(width=200))
    printed = capsys.readouterr().out
    assert "not measured: the clock of ours on RTE, seed 1: the checkpoint that was swept is gone" in printed
