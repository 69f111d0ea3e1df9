"""The notebooks run from the first cell to the last, with small settings."""

import os
import sys
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="the extra docs is not installed; `make test-docs` installs it")
pytest.importorskip("ipykernel", reason="the extra docs is not installed; `make test-docs` installs it")
pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]
SMALL = {"epochs": 1, "limit_train": 64, "limit_val_batches": 2, "rows": 300}


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages
@pytest.mark.parametrize("file", sorted((REPOSITORY / "docs/notebooks").glob("*.ipynb")), ids=lambda file: file.stem)
def test_a_notebook_runs(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat

    notebook = nbformat.read(file, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "clear the outputs before you commit"
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    names = [line.partition(" = ")[0] for line in parameters.source.splitlines()]
    parameters.source = "\n".join(f"{name} = {SMALL[name]}" for name in names)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
