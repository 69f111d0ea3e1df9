"""The command line as users drive it, on small things."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import wandb
from wandb_service import API_KEY, WandbService

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
SET_BY_DDP = ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "WORLD_SIZE")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run every test in a folder of its own; end its W&B run and what Lightning's DDP leaves in the environment.

    A command that finds ``LOCAL_RANK`` there would start no other process, and wait for ever for one to join.
    """
    monkeypatch.chdir(tmp_path)
    yield
    wandb.finish()
    for name in SET_BY_DDP:
        os.environ.pop(name, None)


@pytest.fixture
def small(tiny_backbone: Path, glue_folder: Path) -> dict[str, object]:
    """Return options for a run on the small SST-2 with the small encoder."""
    return {"data.task": "sst2", "data.root": glue_folder, "model.backbone": tiny_backbone, **QUICK}


@pytest.fixture(scope="session")
def shared_run(
    made_once: Callable[[str, Callable[[Path], None]], Path], tiny_backbone: Path, glue_folder: Path
) -> Path:
    """Return the folder of a run by the options of `small`, which no test changes."""
    options = {"data.task": "sst2", "data.root": glue_folder, "model.backbone": tiny_backbone, **QUICK}

    def fit(folder: Path) -> None:
        folder.mkdir()
        with chdir(folder):
            assert main(["fit", *(f"--{name}={value}" for name, value in options.items())]) == 0

    return made_once("shared", fit) / "runs/run/version_0"


@pytest.fixture
def finished(shared_run: Path) -> Path:
    """Return the folder of a run by the options of `small`, which lies where they would put it."""
    return shutil.copytree(shared_run, Path("runs/run/version_0"))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbService]:
    """Yield a service that the programs started here log in to, whatever else is set up on this machine."""
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    wandb.teardown()  # or the variable that names W&B's process would come back when that has ended
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "of-wandb"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", "60")  # 10 seconds are too few on a busy machine
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    with WandbService() as running:
        monkeypatch.setenv("WANDB_BASE_URL", running.url)
        yield running


@pytest.fixture
def run() -> Callable[..., int]:
    """Return a function that runs a command with options and returns its exit status."""

    def _run(command: str, *configs: Path, **options: object) -> int:
        files = [argument for config in configs for argument in ("--config", str(config))]
        flags = [f"--{name}={value}" for name, value in options.items()]
        return main([command, *files, *flags])

    return _run
