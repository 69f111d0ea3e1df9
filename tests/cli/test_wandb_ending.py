"""How runs end in W&B, and how little its outages cost, against a service on this machine (`wandb_service`)."""

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from forked import Command
from wandb_service import WandbService

REPOSITORY = Path(__file__).parents[2]
WANDB = REPOSITORY / "configs" / "trainer" / "wandb.yaml"
FOLDER = Path("runs/run/version_0")
ENDLESS = {"trainer.max_epochs": 100_000}
MISTAKE = """
from lightning.pytorch import Callback

class Mistake(Callback):
    def on_validation_end(self, trainer, module):
        raise RuntimeError("a programmer's mistake")
"""


def start(options: dict[str, object], stdin: str = os.devnull) -> Command:
    """Start a training with W&B."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    return Command("fit", "--config", WANDB, *flags, stdin=stdin)


def wait_for_epochs(fit: Command, number: int) -> None:
    """Wait until so many epochs are over."""
    scores = FOLDER / "exit_scores.csv"
    while not scores.is_file() or f"\n{number - 1}," not in scores.read_text():
        assert fit.is_alive(), fit.printed
        time.sleep(0.05)


@pytest.mark.parametrize("outage", ["dies", "stops to answer"])
def test_an_outage_in_the_middle_of_a_run_costs_no_result(
    outage: str, service: WandbService, small: dict[str, object], tmp_path: Path
) -> None:
    fit = start({**small, "trainer.max_epochs": 3, "trainer.logger.init_args.finish_timeout": 1})
    wait_for_epochs(fit, 1)
    if outage == "dies":
        service.stop()
    else:
        service.answering.clear()
    assert fit.ends() == 0, fit.printed
    assert "Traceback" not in fit.printed
    assert len(re.findall(r"^W&B: .*The run folder has all results", fit.printed, re.MULTILINE)) == 1
    for name in ("config.yaml", "metrics.csv", "exit_scores.csv", "curves.csv", "curves.png", "summary.json"):
        assert (FOLDER / name).is_file()
    assert not list(_processes_of_wandb(tmp_path))
    with WandbService() as restored:
        (upload,) = re.findall(r"Upload the rest later: (wandb sync .+)$", fit.printed, re.MULTILINE)
        environment = {**os.environ, "WANDB_BASE_URL": restored.url}
        subprocess.run(upload.split(), env=environment, timeout=120, check=True, capture_output=True)
        (run,) = restored.runs.values()
        assert [row["epoch"] for row in run.history if "val/voting/area" in row] == [0, 1, 2]
        assert "val/curves" in run.summary


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_an_interrupted_run_is_reported_as_wandb_itself_does(
    number: signal.Signals, status: int, service: WandbService, small: dict[str, object]
) -> None:
    fit = start({**small, **ENDLESS})
    wait_for_epochs(fit, 2)
    fit.send(number)
    assert fit.ends() == status, fit.printed
    (run,) = service.runs.values()
    assert run.exit_code == 255
    assert "val/voting/area" in run.summary


@pytest.mark.slow
def test_a_second_interrupt_waits_for_no_upload(
    service: WandbService, small: dict[str, object], tmp_path: Path
) -> None:
    fit = start({**small, **ENDLESS, "trainer.logger.init_args.finish_timeout": 10_000})
    wait_for_epochs(fit, 2)
    service.answering.clear()
    fit.send(signal.SIGINT)
    while "Upload the rest later" not in fit.printed:
        assert fit.is_alive(), fit.printed
        time.sleep(1)
        fit.send(signal.SIGINT)  # which Lightning ignores while it ends
    assert fit.ends() == 130, fit.printed
    assert "Traceback" not in fit.printed
    assert not list(_processes_of_wandb(tmp_path))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model.objective": "EnsembleObjective", "model.objective.init_args.diversity_weight": 1e6}, "runs away"),
        ({"trainer.callbacks": "mistake.Mistake"}, "RuntimeError: a programmer's mistake"),
    ],
)
def test_a_run_that_fails_is_reported_as_failed_with_the_reason(
    options: dict[str, object], said: str, service: WandbService, small: dict[str, object]
) -> None:
    Path("mistake.py").write_text(MISTAKE)
    fit = start({**small, **options})
    assert fit.ends() == 1, fit.printed
    (run,) = service.runs.values()
    assert (run.exit_code, run.state) == (1, "failed")
    assert any(said in line for line in run.console)


@pytest.mark.slow
def test_nothing_is_asked_at_a_terminal(
    service: WandbService, monkeypatch: pytest.MonkeyPatch, small: dict[str, object]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    ours, its = pty.openpty()
    fit = start(small, stdin=os.ttyname(its))
    assert os.isatty(its)
    assert fit.ends() == 0, fit.printed
    assert "there is no account on this machine" in fit.printed
    for terminal in (ours, its):
        os.close(terminal)


def _processes_of_wandb(folder: Path) -> list[Path]:
    """Find W&B's own processes that work for a test, by the folder that its variables name."""
    return [
        process
        for process in Path("/proc").glob("[0-9]*")
        if b"wandb-core" in _read(process / "cmdline") and str(folder).encode() in _read(process / "environ")
    ]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended
        return b""
