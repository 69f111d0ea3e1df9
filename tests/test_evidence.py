"""The page of the study is that of the kept exits, and nothing on it is chosen by the labels that are reported."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.stats import norm, ttest_1samp

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


@pytest.fixture
def paired(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    return import_module("paired")


def test_where_only_seeds_differ_it_is_the_t_test_of_their_means(paired: ModuleType) -> None:
    of_seeds = np.array([1.0, 2.5, 1.5])
    found = paired.paired(np.repeat(of_seeds[:, None], 50, axis=1))
    assert found.mean == pytest.approx(of_seeds.mean())
    assert found.p == pytest.approx(ttest_1samp(of_seeds, 0).pvalue, rel=0.1)


def test_where_only_rows_differ_it_is_the_normal_test_of_their_mean(paired: ModuleType) -> None:
    rows = np.random.default_rng(0).normal(0.1, 1, 400)
    error = rows.std() / 20
    for by_seed in (rows[None], np.stack([rows, rows, rows])):
        found = paired.paired(by_seed)
        assert found.p == pytest.approx(2 * norm.sf(abs(rows.mean()) / error), rel=0.1)
        assert found[1:3] == pytest.approx(norm.interval(0.95, rows.mean(), error), abs=0.1 * error)


def test_three_seeds_that_shift_all_rows_are_seldom_called_different(
    paired: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 200)
    drawn = np.random.default_rng(0)
    found = [paired.paired(drawn.normal(0, 2, (3, 1)) + drawn.normal(0, 10, (3, 300))) for _ in range(300)]
    assert np.mean([each.p < 0.05 for each in found]) < 0.1  # 0.14 by a normal distribution
    assert np.mean([each.low > 0 or each.high < 0 for each in found]) < 0.13
