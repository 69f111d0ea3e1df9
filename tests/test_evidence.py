"""The page of the study is that of the kept exits, and nothing on it is chosen by the labels that are reported."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ee_lightning.exits import Confidence, Criterion, Fitted, Scheduled, Voting, trace_curve
from ee_lightning.runs.folder import RunFolder

REPOSITORY = Path(__file__).parents[1]
KEPT = sorted((REPOSITORY / "docs/evidence/study").iterdir())


@pytest.mark.slow
def test_the_page_is_that_of_the_kept_exits() -> None:
    command = [sys.executable, "benchmarks/evidence.py"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rule", [Confidence(), Voting(), Scheduled()], ids=lambda rule: rule.name)
def test_operating_points_do_not_depend_on_the_labels_that_are_reported(rule: Criterion) -> None:
    folder = RunFolder(KEPT[0])
    exits, calibration = folder.read_exits("validation"), folder.read_calibration()
    if isinstance(rule, Fitted):
        rule.fit(calibration)
    assert exits.labels is not None
    permuted = exits.labels[torch.randperm(exits.num_samples, generator=torch.Generator().manual_seed(0))]
    found = [trace_curve(rule, each, ["accuracy"]) for each in (exits, replace(exits, labels=permuted))]
    assert torch.equal(found[0].attained, found[1].attained)
    assert torch.equal(found[0].mean_exit, found[1].mean_exit)
    assert not torch.equal(found[0].scores["accuracy"], found[1].scores["accuracy"])
