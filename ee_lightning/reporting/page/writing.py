"""Puts a page together: template, style, scripts and data in one file."""

import base64
import hashlib
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ee_lightning import __version__
from ee_lightning.files import written_whole
from ee_lightning.reporting.page.packing import as_script_data
from ee_lightning.reporting.page.side_by_side import compared
from ee_lightning.reporting.page.views import split_of, sweep_of, view_of
from ee_lightning.runs.folder import RunFolder
from ee_lightning.terminal import wrapped

SCRIPTS = ("base", "outcomes", "chart", "curves", "point", "classes", "rows", "exits", "compare", "main")
REPORT = "report.html"
MOST_ROWS = 2000


def page_of(
    folders: Sequence[RunFolder], split: str | None = None, most_rows: int = MOST_ROWS
) -> tuple[str, list[str]]:
    """Return the page of some runs, in HTML, and what it says of the first, in two sentences.

    Args:
        folders: The run folders.
        split: The split to show; None takes the validation split, or the only one of a run.
        most_rows: Rows that can be looked at one by one, in all; of more, so many are drawn.
    """
    rows_each = max(1, most_rows // len(folders))
    views, shown = [], []
    for folder in folders:
        found, unknown = sweep_of(folder, split_of(folder, split))
        views.append(view_of(folder, _name_of(folder, folders), found, unknown, rows_each))
        shown.append((folder, found))
    title = views[0]["name"] if len(views) == 1 else f"{len(views)} runs side by side"
    content = {"runs": views, "compared": compared(shown) if len(views) > 1 else []}
    return _render(f"{title}: early exit", content), views[0]["verdict"]


def tell_page(
    folders: Sequence[RunFolder], output: Path | None = None, split: str | None = None, most_rows: int = MOST_ROWS
) -> None:
    """Write the page of some runs, whole or not at all, and print where it is and what it says; see `page_of`.

    Unless ``output`` names another place, it is in the first run folder.
    """
    page, said = page_of(folders, split, most_rows)
    file = folders[0].path / REPORT if output is None else output
    with written_whole(file) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    print(f"page: {file} ({len(page.encode()) / 1e6:.1f} MB)")
    if len(folders) == 1:
        print(*(wrapped(sentence, sys.stdout) for sentence in said), sep="\n")


def _name_of(folder: RunFolder, folders: Sequence[RunFolder]) -> str:
    """Name a run by as many parts of its path as tell it apart, two at least."""
    parts = folder.path.resolve().parts
    for length in range(2, len(parts) + 1):
        name = "/".join(parts[-length:])
        others = ("/".join(each.path.resolve().parts[-length:]) for each in folders)
        if list(others).count(name) == 1:
            return name
    return str(folder.path)


def _render(title: str, content: Mapping[str, Any]) -> str:
    here = files("ee_lightning.reporting.page")
    parts = [here.joinpath("js", f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    environment = Environment(
        loader=PackageLoader("ee_lightning.reporting.page", package_path=""), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.jinja").render(
        title=title,
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=as_script_data(content),
        version=__version__,
    )
