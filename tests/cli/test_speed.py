"""speed: operating points on the clock; and the sweep that measures too."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from ee_lightning.cli import main
from ee_lightning.errors import OptionError
from ee_lightning.exits import Voting, trace_curve
from ee_lightning.fit import sweep_callback as measured_sweep
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.inference import SpeedMeter
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import OperatingPoint
from ee_lightning.training.data_module import TaskDataModule

Run = Callable[..., int]
QUICK = ["--batch-sizes", "1,8", "--repeats", "1", "--max-samples", "10"]


@pytest.fixture
def fitted(finished: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of a finished run."""
    capfd.readouterr()
    return finished


def test_points_near_the_named_speedups_are_measured(fitted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["speed", str(fitted), *QUICK]) == 0
    curve = trace_curve(Voting(), RunFolder(fitted).read_exits("validation"), ["accuracy"])
    nearest = [curve.threshold_near(speedup) for speedup in (1.0, 1.5, 2.0, 3.0)]
    rows = pd.read_csv(fitted / "speed.csv")
    assert list(dict.fromkeys(rows["threshold"])) == list(dict.fromkeys(nearest))
    assert rows["batch_size"].tolist() == ["1", "8", "pool"] * len(set(nearest))
    assert set(rows["criterion"]) == {"voting"}  # the first that the run swept
    assert set(rows["samples"]) == {10}
    assert (fitted / "speed.png").read_bytes().startswith(b"\x89PNG")
    printed = capfd.readouterr().out.splitlines()
    assert max(map(len, printed)) <= 80
    assert printed[0] == f"measuring 10 samples on cpu, 1 thread, torch {torch.__version__}"
    assert printed[-1] == f"saved: {fitted}/speed.csv and speed.png"
    assert not [line for line in printed if "bf16" in line]


def test_the_exits_taken_are_those_that_were_stored(fitted: Path) -> None:
    assert main(["speed", str(fitted), "--batch-sizes", "8", "--repeats", "1"]) == 0
    curve = trace_curve(Voting(), RunFolder(fitted).read_exits("validation"), ["accuracy"])
    for row in pd.read_csv(fitted / "speed.csv").itertuples():
        assert row.samples == 47
        assert row.layer_speedup == pytest.approx(curve.speedup[curve.index_at(row.threshold)].item())


def test_the_operating_point_comes_first_and_names_the_criterion(fitted: Path) -> None:
    assert main(["choose", str(fitted), "--criterion", "patience", "--min-speedup", "1.2"]) == 0
    point = replace(OperatingPoint.read(fitted), threshold=1.75)  # which the curve does not have
    point.write(fitted / "operating_point.json")
    assert main(["speed", str(fitted), *QUICK, "--speedups", "1.5"]) == 0
    rows = pd.read_csv(fitted / "speed.csv")
    assert rows["threshold"].iloc[0] == 1.75
    assert set(rows["criterion"]) == {"patience"}
    assert main(["speed", str(fitted), *QUICK, "--speedups", "1.5", "--criterion", "voting(k=0.5)"]) == 0
    after = pd.read_csv(fitted / "speed.csv").groupby("criterion", sort=False)
    pd.testing.assert_frame_equal(after.get_group("patience"), rows)
    assert after["threshold"].nunique()["voting(k=0.5)"] == 1


def test_bfloat16_tells_what_it_does_to_the_scores(fitted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--criterion", "confidence", "--speedups", "2", "--batch-sizes", "8", "--repeats", "1"]
    assert main(["speed", str(fitted), *options, "--precision", "bf16"]) == 0
    assert set(pd.read_csv(fitted / "speed.csv")["precision"]) == {"bf16"}
    printed = " ".join(capfd.readouterr().out.split())
    figures = re.search(r"fp32 ┃ bf16 ┃ difference .* full model │ ([\d.]+) │ ([\d.]+) .*confidence at", printed)
    score = RunFolder(fitted).read_figures("validation")["full_model"]["accuracy"]
    assert float(figures[1]) == pytest.approx(100 * score, abs=0.05)


MISTAKES = {
    ("--batch-sizes", "1,eight"): r"--batch-sizes: 'eight', which should be a? ?valid int[\s\S]*hint: .*speed --help",
    ("--batch-sizes", "8,0"): "--batch-sizes: '0', which should be greater than or equal to 1",
    ("--repeats", "0"): "--repeats: '0', which should be greater than or equal to 1",
    ("--max-samples", "-1"): "--max-samples: '-1', which should be greater than or equal to 1",
    ("--speedups", "2,inf"): "--speedups: 'inf', which should be a finite number",
    ("--speedups", "nan"): "--speedups: 'nan', which should be",
    ("--speedups", "0.5"): "--speedups: '0.5', which should be greater than or equal to 1",
    ("--speedups", ""): "--speedups: '', which should be a valid number",
    ("--precision", "fp8"): "invalid choice: 'fp8'",
    ("--criterion", "oracle"): "the oracle reads the labels",
    ("--criterion", "voting,patience"): "2 criteria are given",
    ("--criterion", "conformal"): "--data.calibration",
    ("--split", "test"): r"'test' are not stored[\s\S]*hint: .*run validate or test",
}


def test_mistakes_are_named(fitted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for options, message in MISTAKES.items():
        assert main(["speed", str(fitted), *options]) == 1
        assert re.search(message, capfd.readouterr().err)
    assert not (fitted / "speed.csv").exists()
    assert main(["speed", "nix"]) == 1
    assert re.search(r"no such folder[\s\S]*where: nix[\s\S]*runs/demo/version_0", capfd.readouterr().err)


def test_a_batch_size_named_twice_is_measured_once(fitted: Path) -> None:
    options = ["--batch-sizes", "8,1,8", "--speedups", "1.5,1.5", "--repeats", "1", "--max-samples", "10"]
    assert main(["speed", str(fitted), *options]) == 0
    assert pd.read_csv(fitted / "speed.csv")["batch_size"].tolist() == ["8", "1", "pool"]


def test_a_sweep_measures_when_asked(
    run: Run, small: dict[str, object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    quick = partial(SpeedMeter, batch_sizes=(32, 2), repeats=1, max_samples=8)
    monkeypatch.setattr(measured_sweep, "SpeedMeter", quick)
    assert run("fit", **small, **{"sweep.speed": "true"}) == 0
    folder = RunFolder("runs/run/version_0")
    measured = folder.read_speed()["validation"]
    assert {each.criterion for each in measured} == {"voting", "patience", "confidence", "entropy"}
    logged = pd.read_csv(folder.path / "metrics.csv").iloc[-1]
    curves = {curve.criterion: curve for curve in folder.read_curves()["validation"]}
    for criterion in ("voting", "patience", "confidence", "entropy"):
        for speedup in (1.5, 2, 3):
            nearest = curves[criterion].threshold_near(speedup)
            (expected,) = (
                each.wall_speedup
                for each in measured
                if (each.criterion, each.threshold, each.batch_size) == (criterion, nearest, "32")
            )
            assert logged[f"val/{criterion}/wall_speedup_at_{speedup:g}x"] == pytest.approx(expected)
    assert (folder.path / "speed.png").is_file()
    printed = capfd.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "by layers, by FLOPs, and on the clock by batch size" in printed


def test_a_sweep_without_being_asked_measures_nothing(fitted: Path) -> None:
    assert not (fitted / "speed.csv").exists()
    assert not any("wall_speedup" in name for name in pd.read_csv(fitted / "metrics.csv").columns)


@pytest.mark.parametrize(("world_size", "has_rows"), [(2, True), (1, False)])
def test_speed_of_several_processes_or_of_unknown_rows_is_refused(world_size: int, has_rows: bool) -> None:
    data = TaskDataModule("sst2") if has_rows else None
    trainer = SimpleNamespace(world_size=world_size, datamodule=data)
    with pytest.raises(OptionError, match=r"one process[\s\S]*ee-lightning speed"):
        ExitSweep([], speed=True).setup(trainer, None, TrainerFn.FITTING)
    ExitSweep([], speed=True).setup(trainer, None, TrainerFn.PREDICTING)
