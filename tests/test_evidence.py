"""The page of the study is that of the kept exits, and nothing on it is chosen by the labels that are reported."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

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


def test_means_are_of_the_tasks_that_have_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    pairs_of = import_module("evidence").pairs_of
    seeds = {"SST-2": (3, 1, 2), "MRPC": (1, 2), "RTE": (1, 2, 3), "CoLA": (1,)}
    runs = [
        SimpleNamespace(task=task, training=training, seed=seed)
        for task, of_task in seeds.items()
        for seed in of_task
        for training in ("joint", "ours")
    ]
    *of_one, (name, tasks) = pairs_of(runs, "ours", "joint")
    assert [each for each, _ in of_one] == ["SST-2 (3 seeds)", "MRPC (2 seeds)", "RTE (3 seeds)", "CoLA (1 seed)"]
    assert name == "Mean of 2 tasks (3 seeds)"
    assert [[(ours.task, ours.seed, joint.seed) for ours, joint in pairs] for pairs in tasks] == [
        [("SST-2", 1, 1), ("SST-2", 2, 2), ("SST-2", 3, 3)],
        [("RTE", 1, 1), ("RTE", 2, 2), ("RTE", 3, 3)],
    ]
    alone = [run for run in runs if run.task in ("MRPC", "CoLA")]
    assert [each for each, _ in pairs_of(alone, "ours", "joint")] == ["MRPC (2 seeds)", "CoLA (1 seed)"]


def test_tasks_count_alike_whatever_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    paired = import_module("paired").paired
    few, many = np.full((3, 10), 0.05), np.full((3, 1000), 0.01)
    assert paired([few, many]).value == pytest.approx(3)
    assert paired([few, np.full((3, 10), np.nan)]) == "–"


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
