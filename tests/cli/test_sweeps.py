"""Sweeps by the real ``wandb sweep`` and ``wandb agent``, against a service on this machine (`wandb_service`)."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from wandb_service import ENTITY, WandbService

from ee_lightning.exits import Fixed, Voting, trace_curve
from ee_lightning.runs.folder import RunFolder

REPOSITORY = Path(__file__).parents[2]
WEIGHT = "model.objective.init_args.diversity_weight"
AREA = "val/voting/area"
ON_A_SLURM_TASK = {
    "SLURM_ARRAY_TASK_ID": "1",
    "SLURM_JOB_ID": "1",
    "SLURM_JOB_NAME": "ee-sweep",
    "SLURM_NTASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "127.0.0.1",
}


def _create(file: str, parameters: Mapping[str, Any], options: Mapping[str, object]) -> str:
    """Create a sweep by a shipped file, with other values and more options, and give the name that is printed."""
    sweep = yaml.safe_load((REPOSITORY / "sweeps" / file).read_text())
    assert parameters.keys() <= sweep["parameters"].keys() | {"trainer.max_epochs"}
    swept = sweep["command"].index("${args}")
    sweep["command"][swept:swept] = [f"--{name}={value}" for name, value in options.items() if name not in parameters]
    Path("sweep.yaml").write_text(yaml.safe_dump({**sweep, "parameters": dict(parameters)}, sort_keys=False))
    created = subprocess.run(["wandb", "sweep", "sweep.yaml"], capture_output=True, text=True, timeout=60, check=True)
    (name,) = re.findall(r"Run sweep agent with: wandb agent (\S+)", created.stderr)
    return str(name)


class Agent:
    """An agent at work, with all that it and its runs print."""

    def __init__(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        self.log = Path(f"agent{len(list(Path().glob('agent*.log')))}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | (environment or {})
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def goes_home(self) -> None:
        """Wait until the service sends it away."""
        try:
            assert self.process.wait(timeout=900) == 0
        finally:
            self.is_killed()

    def is_killed(self) -> None:
        """Interrupt it, if it is still there, until it kills its run and goes."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            time.sleep(1)
        print(self.said)


def _wait_for(what: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def _training_began() -> bool:
    return Path("runs/demo/version_0/metrics.csv").is_file()


def test_two_agents_share_a_grid_and_a_folder(service: WandbService, small: dict[str, object]) -> None:
    values = {WEIGHT: {"values": [0.0, 0.3]}, "seed_everything": {"value": 2}}
    sweep = _create("lambda_grid.yaml", values, small)
    assert sweep == f"{ENTITY}/ee_lightning/sweep0"
    slurm_array = REPOSITORY / "sweeps" / "slurm_array.sh"
    for agent in (Agent("wandb", "agent", sweep), Agent("bash", str(slurm_array), sweep, environment=ON_A_SLURM_TASK)):
        agent.goes_home()
    assert len(service.agents) == 2
    found = {}
    for folder in map(RunFolder, Path("runs/demo").iterdir()):
        options = yaml.safe_load(folder.config.read_text())
        weight, seed = options["model"]["objective"]["init_args"]["diversity_weight"], options["seed_everything"]
        found[weight, seed] = folder.read_figures("validation")["criteria"]["voting"]["accuracy"]["area"]
    assert sorted(found) == [(0.0, 2), (0.3, 2)]
    assert [folder.name for folder in sorted(Path("runs/demo").iterdir())] == [f"version_{n}" for n in range(2)]
    given = service.sweeps["sweep0"].given
    assert len(given) == len(service.runs) == 2
    for name, point in given.items():
        run = service.runs[name]
        assert (run.sweep, run.exit_code) == ("sweep0", 0)
        assert {key: run.config[key] for key in point} == point
        assert run.summary[AREA] == found[point[WEIGHT], point["seed_everything"]]


@pytest.mark.slow
def test_a_run_that_fails_is_reported_and_the_next_goes_on(service: WandbService, small: dict[str, object]) -> None:
    sweep = _create("lambda_grid.yaml", {WEIGHT: {"values": [1e6, 0.1]}}, small)
    Agent("wandb", "agent", sweep).goes_home()
    failed, finished = service.runs.values()
    assert (failed.exit_code, finished.exit_code) == (1, 0)
    assert any("runs away" in line for line in failed.console)
    assert AREA not in failed.summary
    assert AREA in finished.summary
    assert [RunFolder(f"runs/demo/version_{n}").is_finished for n in (0, 1)] == [False, True]


@pytest.mark.slow
def test_a_run_that_is_stopped_early_makes_room_for_the_next(service: WandbService, small: dict[str, object]) -> None:
    sweep = _create("lambda_grid.yaml", {"trainer.max_epochs": {"values": [100_000, 1]}}, small)
    agent = Agent("wandb", "agent", sweep)
    _wait_for(_training_began)
    service.to_stop.add("sweep0-run0")
    agent.goes_home()
    assert [service.runs[f"sweep0-run{n}"].exit_code for n in (0, 1)] == [255, 0]
    stopped = RunFolder("runs/demo/version_0")
    assert [stopped.is_finished, RunFolder("runs/demo/version_1").is_finished] == [False, True]


@pytest.mark.slow
def test_a_service_that_dies_costs_no_run(service: WandbService, small: dict[str, object]) -> None:
    sweep = _create("lambda_grid.yaml", {WEIGHT: {"values": [0.1]}}, {**small, "trainer.max_epochs": 3})
    agent, folder = Agent("wandb", "agent", sweep), RunFolder("runs/demo/version_0")
    try:
        _wait_for(_training_began)
        service.stop()
        assert not folder.is_finished
        _wait_for(lambda: folder.is_finished)
    finally:
        agent.is_killed()
    assert service.runs["sweep0-run0"].exit_code is None
    assert len(pd.read_csv(folder.path / "exit_scores.csv")) == 3 * 3
    for file in (
        "curves.csv",
        "curves.png",
        "diagnostics.json",
        "exits/validation.safetensors",
        "checkpoints/last.ckpt",
    ):
        assert (folder.path / file).is_file()
    assert AREA.split("/")[1] in folder.read_figures("validation")["criteria"]


@pytest.mark.slow
def test_options_of_a_criterion_are_swept_by_replay(service: WandbService, trained: Callable[..., Path]) -> None:
    shutil.copytree(trained("sst2"), "runs/demo/version_0")
    folder = RunFolder("runs/demo/version_0")
    before = {file: file.read_bytes() for file in folder.path.rglob("*.*")}
    sweep = _create("voting.yaml", {"voting.k": {"values": [0.0, 1.0]}, "voting.fallback": {"value": "majority"}}, {})
    Agent("wandb", "agent", sweep).goes_home()
    assert {file: file.read_bytes() for file in folder.path.rglob("*.*")} == before
    for run, point in service.sweeps["sweep0"].given.items():
        rules = Voting(point["voting.k"], "majority"), Fixed()
        curve, fixed = (trace_curve(rule, folder.read_exits("validation"), ["accuracy"]) for rule in rules)
        assert service.runs[run].summary[AREA] == curve.area("accuracy", fixed)
        assert service.runs[run].exit_code == 0
