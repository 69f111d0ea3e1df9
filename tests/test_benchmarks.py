"""Every benchmark runs, small, as its users run it, and prints the figures that it is for."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SMALL = {  # the options, and a figure that is printed
    "coverage": ("--draws 20", r"voting +MaxLoss +0\.\d{3} ± 0\.\d{3} +[01]\.\d{3}"),
    "curves": (
        "--backbone {backbone} --samples 200 --repeats 1 --scaling 500 --csv-samples 500",
        r"all points +\d+\.\d s +\d+\.\d MB",
    ),
    "data_memory": (
        "--backbone {backbone} --rows 500 1000 --steps 1 --folder {folder}",
        r"1,000 +second( +\d+){3} +-?\d",
    ),
    "decision_rules": (
        "{run} --resamples 50 --draws 1",
        r"jei_dnn( +[-+]\d+\.\d\d \([-+]\d+\.\d\d, [-+]\d+\.\d\d\)){5}",
    ),
    "guarantees": ("{run} --criteria confidence --halves 2", r"confidence +.+ \d\.\d\dx +\d/2 +-?\d"),
    "inference": (
        "--backbone {backbone} --fit-rows 32 --samples 8 --loop-samples 4 --batch-sizes 1 4 --repeats 1"
        " --max-length 64 --padded-to 64 --speedups 1 1.5",
        r"(?s)1\..+\d.+2\..+\d",
    ),
    "runtime": (
        "--run {run} --earlier= --rows 4 --repeats 1 --speedups 1.1 1.2 1.3",
        r"p95 of exported int8 2x / ORT int8 full: \d+\.\d\d",
    ),
    "start_up": ("--repeats 1", r"fit --help +here +\d+\.\d\d CPU s"),
    "training": (
        "--batch-size 4 --steps 3",
        r"\d+\.\d CPU ms, \d+\.\d+ % of the epoch's bare steps",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_runs(name: str, tmp_path: Path, tiny_backbone: Path, trained: Callable[..., Path]) -> None:
    options, figures = SMALL[name]
    run = trained("sst2", data__calibration=16)
    filled = options.format(backbone=tiny_backbone, folder=tmp_path, run=run)
    command = [sys.executable, f"benchmarks/{name}.py", *filled.split()]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(figures, done.stdout), done.stdout
