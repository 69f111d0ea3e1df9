"""What the README says is so."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from factories import stored
from lightning import seed_everything

from ee_lightning.analysis.sweep import sweep_exits
from ee_lightning.cli import main
from ee_lightning.exits import Confidence, Voting
from ee_lightning.models.backbones import FAMILIES
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.reporting import write_sweep
from ee_lightning.runs.folder import RunFolder

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DEPLOYING, TRAINING, PREDICTING, REPLAY, ADAPTER = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_training_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seed_everything(0)
    small = (
        "max_epochs=1, limit_train_batches=2, limit_val_batches=2, limit_predict_batches=1, log_every_n_steps=1, "
        "enable_model_summary=False, "
    )
    assert "max_epochs=2, " in TRAINING
    names: dict[str, object] = {}
    exec(TRAINING.replace("max_epochs=2, ", small), names)
    folder = Path(names["trainer"].log_dir)  # type: ignore[attr-defined]
    assert (folder / "curves.csv").is_file()
    assert RunFolder(folder).read_summary()["validation"]["criteria"].keys() == {"voting", "patience"}
    exec(PREDICTING, names)
    assert len(names["ids"]) == len(names["label"]) == len(names["exit_layer"]) == 64  # type: ignore[arg-type]
    assert set(names["exit_layer"].tolist()) <= {4, 5, 6}  # type: ignore[attr-defined]


def test_replay_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exits = stored(torch.randn(6, 9, 2), torch.randint(2, (9,)))
    RunFolder("runs/demo/version_0").write_exits("validation", exits)
    names: dict[str, object] = {}
    exec(REPLAY, names)
    assert names["exit_layer"].shape == names["label"].shape == (9,)  # type: ignore[attr-defined]


def test_examples_of_curves_and_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(0)  # exits about as good as the demo's, on as many samples
    labels = torch.randint(2, (813,), generator=generator)
    signal = torch.nn.functional.one_hot(labels, 2) * torch.linspace(1, 2, 6).view(6, 1, 1)
    logits = signal + torch.randn(813, 2, generator=generator) + torch.randn(6, 813, 2, generator=generator) / 3
    exits, folder = stored(logits, labels), RunFolder("runs/demo/version_0")
    folder.write_exits("validation", exits)
    found = sweep_exits(
        [Voting(), Confidence()], exits, None, split="validation", task="rotten_tomatoes", metrics=["accuracy"]
    )
    write_sweep(folder, found)
    commands = re.findall(r"^ee-lightning ((?:curves|choose) runs/demo/version_0.*)", README, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        assert main(shlex.split(command, comments=True)) == 0
    for curve in folder.read_curves()["validation"]:
        assert curve.criterion in {"fixed", "oracle"} or not curve.is_all_or_nothing


def test_deploying_from_python(
    trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained("sst2"), "runs/demo/version_0")
    assert main(["choose", "runs/demo/version_0", "--criterion", "voting", "--min-speedup", "1.2"]) == 0
    capsys.readouterr()
    exec(DEPLOYING, {})
    first, second, third = (line.split() for line in capsys.readouterr().out.splitlines())
    assert (first[0], first[2]) == tuple(second)
    assert third[0] in {"negative", "positive"}


def test_the_adapter_shown_is_the_one_that_runs() -> None:
    assert (REPOSITORY / "ee_lightning/models/backbones/mpnet.py").read_text(encoding="utf-8") == ADAPTER
    assert len(ADAPTER.splitlines()) <= 40


def test_an_adapter_of_ones_own_is_named_by_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_family.py").write_text(ADAPTER.replace("models.backbones.backbone", "models"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FAMILIES, "mpnet", FAMILIES["mpnet"])
    load_adapter("my_family.MPNetBackbone")
    assert FAMILIES["mpnet"].__module__ == "my_family"


def test_backbones_are_the_families_with_an_adapter_and_their_files() -> None:
    (table,) = re.findall(r"\| family \| `model_type`.*?\n\n", README, re.DOTALL)
    rows = [[re.findall(r"`([\w-]+)`", cell) for cell in row.split("|")[2:4]] for row in table.splitlines()[2:-1]]
    assert [family for (family,), _ in rows] == sorted(FAMILIES)
    files = {f"{name}.yaml" for _, names in rows for name in names}
    assert files == {file.name for file in (REPOSITORY / "configs/backbones").iterdir()}


def test_named_files_and_targets_are_there() -> None:
    for path in re.findall(r"(?<![\w/])((?:configs|sweeps|ee_lightning)/[\w/]+\.(?:yaml|py))", README):
        assert (REPOSITORY / path).is_file(), path
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)`?", README)) - {"it"} <= targets
