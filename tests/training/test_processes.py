"""Several processes train as one does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

Trained = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def trained(
    steady_backbone: Path, glue_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Trained, Trained, Trained]:
    """Give what one process trained, and what the first and the second of two did."""
    out = tmp_path_factory.mktemp("trained")
    script = Path(__file__).with_name("two_processes.py")
    for processes in ("1", "2"):
        command = [sys.executable, str(script), str(steady_backbone), str(glue_folder), processes, str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
    one, first, second = (json.loads((out / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1"))
    return one, first, second


@pytest.mark.parametrize(
    "training",
    ["ensemble", "ensemble by sample", "two stages", "alternating with a gate", "last exit", "frozen backbone"],
)
def test_losses_are_those_of_one_process_at_the_same_global_batch(
    trained: tuple[Trained, Trained, Trained], training: str
) -> None:
    one, first, second = (some[training] for some in trained)
    assert len(one["steps"]) == len(first["steps"]) == 24
    assert first["steps"] == second["steps"]  # of the whole batch on each
    for alone, together in zip(one["steps"], first["steps"], strict=True):
        terms = alone.keys() - {"train/disagreement"}  # which jumps where two logits are nearly equal
        assert together.keys() == alone.keys()
        assert {name: together[name] for name in terms} == pytest.approx(
            {name: alone[name] for name in terms}, rel=1e-4, abs=1e-5
        )
    losses = [step["train/loss"] for step in one["steps"]]
    assert max(losses) - min(losses) > 0.01  # the weights moved


@pytest.mark.parametrize("training", ["ensemble", "alternating with a gate"])
def test_recorded_exits_count_every_sample_once(trained: tuple[Trained, Trained, Trained], training: str) -> None:
    one, first, second = (some[training] for some in trained)
    assert one["ids"] == first["ids"] == second["ids"] == list(range(47))
    assert first["logits"] == second["logits"]
    torch.testing.assert_close(torch.tensor(first["logits"]), torch.tensor(one["logits"]), rtol=1e-3, atol=1e-4)
