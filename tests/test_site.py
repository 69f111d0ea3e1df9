"""The site builds without the network and without a broken link, and its search finds every option."""

import json
import re
import subprocess
import sys
from argparse import SUPPRESS
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread

import pytest
from browser import chromium
from selenium.webdriver.support.wait import WebDriverWait

pytest.importorskip("mkdocs", reason="the extra docs is not installed; `make test-docs` installs it")
pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]
OPTIONS = {
    "--min-speedup": "reference/commands/",
    "--keep-order": "reference/commands/",
    "--data.own.label_separator": "reference/options/",
    "--model.optimization.head_learning_rate": "reference/options/",
}
"""Options, each with the page of the reference that has it."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_its_search_finds_every_option_by_its_name(site: Path) -> None:
    from ee_lightning.cli import MODULES
    from ee_lightning.cli.command import CommandParser
    from ee_lightning.fit.command import FitOptionsParser

    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    words = set(re.findall(r"--[\w.-]+", " ".join(each["text"] for each in index["docs"])))
    actions = FitOptionsParser()._subcommand_parsers["fit"]._actions
    for name, file in MODULES.items():
        module = import_module(f"ee_lightning.cli.{file}")
        make = getattr(module, "parser", None)
        parser = make() if make else CommandParser(getattr(module, name.replace("-", "_")), name)
        actions = [*actions, *(action for action in parser._actions if action.help != SUPPRESS)]
    of_groups = {name.rpartition(".")[0] for action in actions for name in action.option_strings}
    for action in actions:
        name = next(iter(action.option_strings), "")
        if name.startswith("--") and not name.endswith(".help") and name not in of_groups:
            assert name in words, name
    assert {"--min-speedup", "--skip-bad-rows", "--batch-sizes", "--data.own.text_columns"} <= words


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # connections that the browser keeps
def test_its_search_takes_options_as_they_are_typed(site: Path, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=site)) as server, chromium(tmp_path) as driver:
        Thread(target=server.serve_forever, daemon=True).start()
        for option, page in OPTIONS.items():
            driver.get(f"http://127.0.0.1:{server.server_port}/?q={option}")
            found = WebDriverWait(driver, 60).until(
                lambda each: each.find_elements("class name", "md-search-result__link")
            )
            assert any(page in str(link.get_attribute("href")) for link in found), option
        server.shutdown()


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]*src="https?:', text), page
        assert not re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="https?:', text), page
