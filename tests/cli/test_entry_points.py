"""The installed commands, each in a process of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forked import Command

import ee_lightning

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = Path(sys.executable).parent
ENTRY_POINTS = {
    "ee-lightning": [str(SCRIPTS / "ee-lightning")],
    "lightning": [str(SCRIPTS / "lightning")],
    "module": [sys.executable, "-m", "ee_lightning"],
}


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_entry_point_is_the_same_command(name: str) -> None:
    def output(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*ENTRY_POINTS[name], *arguments], capture_output=True, text=True, check=False)

    shown = output("--help")
    assert shown.returncode == 0
    for command in ("fit", "validate", "test", "curves", "choose", "predict", "fetch-run", "save", "reproduce"):
        assert f"\n  {command} " in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert output("--version").stdout == f"ee_lightning {ee_lightning.__version__}\n"
    refused = output("train")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: there is no command 'train'")
    assert "Traceback" not in refused.stderr


def test_a_mistake_in_training_is_an_exit_status() -> None:
    refused = Command("fit", "--data.task", "sst2")
    assert refused.ends() == 1
    assert "model.backbone is needed" in refused.printed
    assert "Traceback" not in refused.printed


def test_a_file_in_another_folder_may_name_a_class_of_the_working_folder(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "own_objective.py", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "own.yaml").write_text("model: {objective: own_objective.EarlyFirstObjective}\n")
    command = [*ENTRY_POINTS["ee-lightning"], "fit", "--config", "elsewhere/own.yaml", "--print_config"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "class_path: own_objective.EarlyFirstObjective" in shown.stdout, shown.stderr


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from ee_lightning.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
