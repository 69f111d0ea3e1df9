"""The rooms of the package stand in an order, and nothing imports from a room above its own."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ee_lightning"
ORDER = (
    *("errors", "terminal", "extras", "files", "packaged", "notebook", "functional", "exits", "models", "data", "runs"),
    *("training", "analysis", "inference", "runtime", "serving", "scoring", "export", "hf", "reporting", "tracking"),
    *("fit", "tuning", "reproduce", "cli"),
)  # from the ground up


def upward_imports(module: Path, source: str) -> Iterator[str]:
    """Name the rooms above its own that a module imports from, also within functions."""
    room = module.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for node in ast.walk(ast.parse(source)):
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            named = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in named:
            package, _, inside = name.partition(".")
            other = inside.partition(".")[0]
            if package == "ee_lightning" and other in ORDER and ORDER.index(other) > ORDER.index(room):
                yield f"{room} -> {other}"


def test_every_room_has_a_place() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert found - {"__init__", "__main__", "__pycache__", "py"} == set(ORDER)


@pytest.mark.parametrize("module", [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE], ids=str)
def test_nothing_imports_upward(module: Path) -> None:
    assert list(upward_imports(module, module.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("module", "line", "arrow"),
    [
        ("reproduce/plan.py", "from ee_lightning.cli.command import CommandParser", "reproduce -> cli"),
        ("inference/texts.py", "def f():\n    import ee_lightning.reporting.plots", "inference -> reporting"),
        ("data/read.py", "from ee_lightning import training", "data -> training"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, line: str, arrow: str) -> None:
    assert list(upward_imports(PACKAGE / module, line)) == [arrow]


def test_predicting_loads_no_more_than_it_needs() -> None:
    heavy = ("lightning", "torchmetrics", "matplotlib", "wandb", "pandas", "datasets", "pyarrow")
    program = f"""
import gc, sys
import ee_lightning.inference
print(*(name for name in ("rich", "torch", *{heavy}) if name in sys.modules))
from ee_lightning.cli import main
sys.argv = ["ee-lightning", "predict", "--help"]
try:
    main()
except SystemExit:
    print("loaded:", *(name for name in ("torch", *{heavy}) if name in sys.modules))
sys.argv = ["ee-lightning", "predict", "nowhere", "--text", "a"]
main()
print("loaded:", *(name for name in ("torch", *{heavy}) if name in sys.modules))
print("collects:", gc.isenabled(), "but spares:", gc.get_freeze_count() > 100_000)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert (lines[0], *lines[-3:]) == ("", "loaded:", "loaded: torch", "collects: True but spares: True")
