"""The site builds without the network and without a broken link, and its search finds every option."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the extra docs is not installed; `make test-docs` installs it")
pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_its_search_finds_every_option_by_its_name(site: Path) -> None:
    from ee_lightning.fit.command import FitOptionsParser

    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    words = set(re.findall(r"--[\w.-]+", " ".join(each["text"] for each in index["docs"])))
    actions = FitOptionsParser()._subcommand_parsers["fit"]._actions
    of_groups = {name.rpartition(".")[0] for action in actions for name in action.option_strings}
    for action in actions:
        name = next(iter(action.option_strings), "")
        if name.startswith("--") and not name.endswith(".help") and name not in of_groups:
            assert name in words, name
    assert {"--min-speedup", "--skip-bad-rows", "--batch-sizes", "--data.own.text_columns"} <= words


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]*src="https?:', text), page
        assert not re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="https?:', text), page
