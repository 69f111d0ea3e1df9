"""The page of the study is that of the kept exits, and nothing on it is chosen by the labels that are reported."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

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


@pytest.mark.parametrize("seeds", [1, 3])
def test_where_only_rows_differ_it_is_the_normal_test_of_their_mean(
    seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    rows = np.random.default_rng(0).normal(0.1, 1, 400)
    error = rows.std() / 20
    found = import_module("paired").paired([np.stack([rows] * seeds)])
    assert found.value == pytest.approx(100 * rows.mean())
    assert found.p_value == pytest.approx(2 * norm.sf(abs(rows.mean()) / error), rel=0.1)
    assert found.high - found.low == pytest.approx(200 * 1.96 * error, rel=0.05)


def test_means_over_tasks_alone_are_tested_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    paired = import_module("paired")
    of_one = paired.Difference(-3.0, -4.0, -2.0, 0.0001, 3, 0)
    means = [paired.MeanOfTasks(-1.0, -2.0, 0.0, p_value, 3, 0) for p_value in (0.01, 0.03, 0.04)]
    table = paired.as_table("rule", ["2x", "3x"], {"one task": [of_one, "–"], "all": means[:2], "others": means[2:]})
    assert table.splitlines()[2:] == [
        "| one task | -3.00 (-4.00, -2.00) | – |",
        "| all | -1.00 (-2.00, +0.00)* | -1.00 (-2.00, +0.00) |",
        "| others | -1.00 (-2.00, +0.00) |",
        "",
        "Significant among 3 means: 0 above 0, 1 below.",
    ]
