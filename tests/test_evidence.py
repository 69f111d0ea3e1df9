"""The page of the study is that of the kept exits, and nothing on it is chosen by the labels that are reported."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch

from ee_lightning.exits import Confidence, Criterion, Scheduled, Voting, trace_curve

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_page_is_that_of_the_kept_exits() -> None:
    command = [sys.executable, "benchmarks/evidence.py"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rule", [Confidence(), Voting(), Scheduled()], ids=lambda rule: rule.name)
def test_operating_points_do_not_depend_on_the_labels_that_are_reported(
    rule: Criterion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    run = import_module("evidence").read_kept()[0]
    drawn = torch.randperm(run.exits.num_samples, generator=torch.Generator().manual_seed(0))
    permuted = replace(run, exits=replace(run.exits, labels=run.exits.labels[drawn]))
    (shares, right), (shares_permuted, right_permuted) = (each.decided(rule, 2.0) for each in (run, permuted))
    curves = [trace_curve(rule, each.exits, ["accuracy"]) for each in (run, permuted)]
    assert torch.equal(curves[0].mean_exit, curves[1].mean_exit)
    assert (shares == shares_permuted).all()
    assert right.mean() != right_permuted.mean()
