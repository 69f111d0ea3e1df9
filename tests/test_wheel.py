"""The wheel in an environment of its own: what users do, from a folder elsewhere, with files outside the package."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]
FROM_PYTHON = (REPOSITORY / "docs/start/python.md").read_text(encoding="utf-8")
TRAINING = next(each for each in re.findall(r"```python\n(.*?)```", FROM_PYTHON, re.DOTALL) if "trainer.fit(" in each)
ADAPTER = (REPOSITORY / "ee_lightning/models/backbones/mpnet.py").read_text(encoding="utf-8")
OWN_CLASS = "own_criterion.RecentMean"
OWN = f"{OWN_CLASS}(decay=0.8)"
RUN = "runs/tickets/version_0"
CONFIG = """
data:
  task: tickets
  root: tickets.csv
  batch_size: 8
  max_length: 32
  own: {text_columns: [subject], label_column: queue, metrics: [macro_f1, accuracy]}
model:
  heads: {pooling: mean}
  objective: own_objective.EarlyFirstObjective
  optimization: {learning_rate: 5e-3, head_learning_rate: 1e-2}
sweep:
  criteria:
  - {class_path: own_criterion.RecentMean, init_args: {decay: 0.8}}
trainer: {max_epochs: 3, accelerator: cpu, enable_progress_bar: false}
"""
DEPLOYED = """
import own_criterion
from ee_lightning.inference import EarlyExitPredictor

predictor = EarlyExitPredictor.from_pretrained("model")
print(*(prediction.label for prediction in predictor(["lovely scene", "dull scene"])))
"""
Run = Callable[..., str]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment with the wheel, whose dependencies are those of this one."""
    root = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", root, REPOSITORY]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = root.glob("ee_lightning-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "env"], check=True)
    python = root / "env/bin/python"
    (packages,) = (root / "env").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # but no .pth there, so not this package
    install = ["install", "--no-deps", "--no-index", "--no-compile", wheel]
    subprocess.run([*pip, "--python", python, *install], check=True)
    return python.parent


@pytest.fixture
def run(programs: Path, tmp_path: Path) -> Run:
    """Return a function that runs a program in a folder of a user, where own files lie, and returns its output."""
    for file in (REPOSITORY / "examples").glob("own_*.py"):
        shutil.copy(file, tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def _run(program: str, *options: object) -> str:
        command = [str(programs / program), *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return _run


def test_it_is_the_wheel_that_runs(run: Run, programs: Path) -> None:
    printed = run("python", "-c", "import ee_lightning; print(ee_lightning.__file__, ee_lightning.__version__)")
    file, version = printed.split()
    assert Path(file).is_relative_to(programs.parent)
    assert run("ee-lightning", "--version") == f"ee_lightning {version}\n"


def test_own_classes_and_data_go_from_training_to_a_saved_model(run: Run, tmp_path: Path, tiny_backbone: Path) -> None:
    words = {"praise": ("lovely", "warm", "bright"), "complaint": ("dull", "cold", "stupid")}
    rows = [(f"{word} scene {n}", queue) for n in range(30) for queue in words for word in words[queue]]
    pd.DataFrame(rows, columns=["subject", "queue"]).to_csv(tmp_path / "tickets.csv", index=False)
    (tmp_path / "mine.yaml").write_text(CONFIG)
    (tmp_path / "new.csv").write_text("subject\nlovely scene\ndull scene\n")
    printed = run(
        "ee-lightning", "fit", "--config", "mine.yaml", "--model.backbone", tiny_backbone, "--run.name=tickets"
    )
    assert f"run folder: {RUN}" in printed
    assert "recent_mean(decay=0.8)" in printed
    run("ee-lightning", "curves", RUN, "--criteria", f"{OWN},voting")
    swept = set(pd.read_csv(tmp_path / RUN / "curves.csv")["criterion"])
    assert {"recent_mean(decay=0.8)", "voting"} < swept
    run("ee-lightning", "choose", RUN, "--criterion", OWN, "--min-speedup", "1.2")
    run("ee-lightning", "predict", RUN, "--criterion", OWN, "--input", "new.csv", "--output", "of_run.csv")
    run("ee-lightning", "save", RUN, "model", "--criterion", OWN)
    shutil.rmtree(tmp_path / "runs")
    run("ee-lightning", "predict", "model", "--criterion", OWN, "--input", "new.csv", "--output", "of_model.csv")
    of_run, of_model = (pd.read_csv(tmp_path / f"of_{source}.csv") for source in ("run", "model"))
    pd.testing.assert_frame_equal(of_run, of_model)
    assert of_model["label"].tolist() == ["praise", "complaint"]
    (tmp_path / "deployed.py").write_text(DEPLOYED)
    assert run("python", "deployed.py") == "praise complaint\n"


def test_a_run_from_python_is_deployed_by_commands(run: Run, tmp_path: Path) -> None:
    few = "max_epochs=1, limit_train_batches=2, limit_val_batches=2, log_every_n_steps=1, "
    (tmp_path / "training.py").write_text(TRAINING.replace("max_epochs=2, ", few) + "print(trainer.log_dir)\n")
    folder = run("python", "training.py").splitlines()[-1]
    run("ee-lightning", "curves", folder, "--criteria", f"{OWN},voting")
    run("ee-lightning", "choose", folder, "--criterion", OWN, "--min-speedup", "1.2")
    (tmp_path / "texts.txt").write_text("a gripping film\na dull one\n")
    run("ee-lightning", "predict", folder, "--criterion", OWN, "--input", "texts.txt", "--output", "of_run.csv")
    run("ee-lightning", "save", folder, "model", "--criterion", OWN)
    run("ee-lightning", "predict", "model", "--criterion", OWN, "--input", "texts.txt", "--output", "of_model.csv")
    assert (tmp_path / "of_run.csv").read_text() == (tmp_path / "of_model.csv").read_text()


def test_a_data_module_of_ones_own_is_trained_and_deployed(run: Run, tmp_path: Path, tiny_backbone: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n" + "a lovely film,yes\na dull film,no\nthe plot,yes\n" * 12)
    flags = ["--data=own_data.OwnData", "--data.file=rows.csv", f"--model.backbone={tiny_backbone}"]
    flags += ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", f"--sweep.criteria+={OWN_CLASS}"]
    assert "run folder: runs/run/version_0" in run("ee-lightning", "fit", *flags)
    run("ee-lightning", "choose", "runs/run/version_0", "--criterion", OWN, "--min-speedup", "1.2")
    run("ee-lightning", "save", "runs/run/version_0", "model", "--criterion", OWN)
    printed = run("ee-lightning", "predict", "model", "--criterion", OWN, "--text", "a lovely film")
    assert re.search(r"\b(yes|no)\b", printed)


def test_an_adapter_of_ones_own_is_trained_and_deployed(
    run: Run, tmp_path: Path, small_backbone: Callable[..., Path], tiny_backbone: Path, glue_folder: Path
) -> None:
    backbone = tmp_path / "backbone"
    shutil.copytree(small_backbone("mpnet", max_position_embeddings=70), backbone)
    for file in tiny_backbone.glob("*token*"):
        shutil.copy(file, backbone)
    (tmp_path / "my_family.py").write_text(ADAPTER.replace("models.backbones.backbone", "models"))
    options = {"backbone": backbone, "heads.pooling": "mean"}
    flags = [f"--model.{name}={value}" for name, value in options.items()]
    flags += [f"--data.root={glue_folder}", "--data.task=sst2", "--data.max_length=32", "--trainer.max_epochs=1"]
    adapter = "my_family.MPNetBackbone"
    run("ee-lightning", "fit", *flags, "--model.adapter", adapter, "--trainer.accelerator=cpu")
    (tmp_path / "texts.txt").write_text("a lovely film\na dull plot\n")
    predict = ["--criterion=confidence", "--threshold=0.9", "--input=texts.txt", "--output=labels.csv"]
    run("ee-lightning", "predict", "runs/run/version_0", "--adapter", adapter, *predict)
    assert set(pd.read_csv(tmp_path / "labels.csv")["label"]) <= {"negative", "positive"}
