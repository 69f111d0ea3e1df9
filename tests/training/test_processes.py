"""Several processes train as one does."""

import json
import socket
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Command

SCRIPT = Path(__file__).with_name("two_processes.py")
Trained = dict[str, dict[str, Any]]
TRAININGS = [
    *("ensemble", "ensemble by sample", "two stages", "alternating with a gate", "a gate that shares out"),
    *("last exit", "frozen backbone"),
]
NUM_STEPS = 2 * 4
SHARDED = ["ensemble", "two stages", "alternating with a gate"]


@pytest.fixture(scope="module")
def train(
    steady_backbone: Path, glue_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, int], list[Trained]]:
    """Return a function that trains in some way, on so many processes, and tells what each of them did."""
    out = tmp_path_factory.mktemp("trained")

    @cache
    def _train(how: str, processes: int) -> list[Trained]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        started = []
        for rank in range(processes):
            folder = out / f"{how}-{rank}"
            folder.mkdir()
            environment = {} if processes == 1 else {**shared, "LOCAL_RANK": str(rank)}
            started.append(Command(steady_backbone, glue_folder, how, script=SCRIPT, folder=folder, **environment))
        for process in started:
            assert process.ends() == 0, process.printed
        return [json.loads((process.folder / "trained.json").read_text()) for process in started]

    return _train


@pytest.mark.parametrize(("how", "training"), [*product(["replicated"], TRAININGS), *product(["sharded"], SHARDED)])
def test_losses_are_those_of_one_process_at_the_same_global_batch(
    train: Callable[[str, int], list[Trained]], how: str, training: str
) -> None:
    one, first, second = (some[training] for some in (*train("one", 1), *train(how, 2)))
    assert len(one["steps"]) == len(first["steps"]) == NUM_STEPS
    assert first["steps"] == second["steps"]  # of the whole batch on each
    for alone, together in zip(one["steps"], first["steps"], strict=True):
        terms = alone.keys() - {"train/disagreement"}  # which jumps where two logits are nearly equal
        assert together.keys() == alone.keys()
        assert {name: together[name] for name in terms} == pytest.approx(
            {name: alone[name] for name in terms}, rel=1e-4, abs=1e-5
        )
    losses = [step["train/loss"] for step in one["steps"]]
    assert max(losses) - min(losses) > 0.01  # the weights moved


@pytest.mark.parametrize("how", ["replicated", "sharded"])
@pytest.mark.parametrize("training", ["ensemble", "alternating with a gate"])
def test_recorded_exits_count_every_sample_once(
    train: Callable[[str, int], list[Trained]], how: str, training: str
) -> None:
    one, first, second = (some[training] for some in (*train("one", 1), *train(how, 2)))
    assert one["ids"] == first["ids"] == second["ids"] == list(range(47))
    assert first["logits"] == second["logits"]
    torch.testing.assert_close(torch.tensor(first["logits"]), torch.tensor(one["logits"]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("training", SHARDED)
def test_a_sharded_model_decays_and_is_evaluated_after_training_as_a_whole_one(
    train: Callable[[str, int], list[Trained]], training: str
) -> None:
    one, first, second = (some[training] for some in (*train("one", 1), *train("sharded", 2)))
    assert first["decays"] == second["decays"] == one["decays"]
    assert one["evaluated"] == one["logits"]
    assert first["evaluated"] == second["evaluated"] == first["logits"]
