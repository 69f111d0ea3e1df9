"""A run that is taken up again goes on in W&B too, by the real program and library to a service on this machine."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning import LightningModule, Trainer
from wandb_service import WandbService

from ee_lightning.fit.sweep_callback import ExitSweep

WANDB = Path(__file__).parents[2] / "configs" / "trainer" / "wandb.yaml"
FOLDER = Path("runs/run/version_0")


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_run_that_is_taken_up_again_is_one_run(
    mode: str,
    service: WandbService,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., int],
    small: dict[str, object],
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    options = {**small, "trainer.max_epochs": 3}
    with monkeypatch.context() as context:
        context.setattr(ExitSweep, "on_train_epoch_end", _break_off_after_the_second, raising=False)
        assert run("fit", WANDB, **options) == 130
    assert run("fit", WANDB, **options, ckpt_path="last") == 0
    if mode == "offline":
        kept = sorted(map(str, Path("runs/wandb").glob("offline-run-*")))
        assert len(kept) == 2
        subprocess.run(["wandb", "sync", *kept], timeout=120, check=True, capture_output=True)
    (tracked,) = service.runs.values()
    assert json.loads((FOLDER / "wandb.json").read_text())["run"] == tracked.name
    assert tracked.exit_code == 0
    assert [row["_step"] for row in tracked.history] == list(range(len(tracked.history)))
    assert [row["epoch"] for row in tracked.history if "val/voting/area" in row] == [0, 1, 1, 2]  # the second again
    assert "val/curves" in tracked.summary


def test_the_record_of_another_run_is_refused_where_it_is_damaged(
    run: Callable[..., int], small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    (FOLDER / "checkpoints").mkdir(parents=True)
    (FOLDER / "wandb.json").write_text("{")
    assert run("fit", WANDB, **small, ckpt_path="last") == 1
    assert "delete it; a W&B run of its own then begins" in capsys.readouterr().err


def _break_off_after_the_second(self: ExitSweep, trainer: Trainer, module: LightningModule) -> None:
    if trainer.current_epoch == 1:
        raise KeyboardInterrupt
