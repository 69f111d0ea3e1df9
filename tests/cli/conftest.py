"""The command line as users drive it, on small things."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb

from ee_lightning.cli import main

REPOSITORY = Path(__file__).parents[2]
QUICK = {
    "data.max_length": 32,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
    "trainer.enable_model_summary": "false",
    "trainer.log_every_n_steps": 1,
}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run every test in a folder of its own, and end its W&B run."""
    monkeypatch.chdir(tmp_path)
    yield
    wandb.finish()


@pytest.fixture
def small(tiny_backbone: Path, glue_folder: Path) -> dict[str, object]:
    """Give options for a run on the small SST-2 with the small encoder."""
    return {"data.task": "sst2", "data.root": glue_folder, "model.backbone": tiny_backbone, **QUICK}


@pytest.fixture
def run() -> Callable[..., int]:
    """Give a function that runs a command with options and returns its exit status."""

    def _run(command: str, *configs: Path, **options: object) -> int:
        files = [argument for config in configs for argument in ("--config", str(config))]
        flags = [f"--{name}={value}" for name, value in options.items()]
        return main([command, *files, *flags])

    return _run
