"""``ee-lightning report``: a page of a run, or of several side by side."""

from pathlib import Path
from typing import Annotated

from ee_lightning.cli.command import Adapter, OutputFile, Samples
from ee_lightning.errors import OptionError
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.reporting.page.writing import MOST_ROWS, tell_page
from ee_lightning.runs.folder import RunFolder


def report(
    runs: Annotated[list[Path], "RUN ..."],
    *,
    split: str | None = None,
    rows: Samples = MOST_ROWS,
    output: OutputFile | None = None,
    adapter: Adapter | None = None,
) -> None:
    """Write a page that shows a run, or several side by side: one HTML file that needs no network.

    Args:
        runs: Run folders, such as runs/demo/version_0.
        split: The split to show, such as test (validation, or the only one there is).
        rows: The most rows that the page shows with their texts, of all runs together; of more rows, as many are drawn.
        output: The file (left out: report.html in the run folder; needed for several runs).
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    load_adapter(adapter)
    folders = [RunFolder(run) for run in dict.fromkeys(runs)]
    if output is None and len(folders) > 1:
        hint = "name the file of the page, such as --output runs/report.html"
        raise OptionError("several runs share a page, which needs a place", where="--output", hint=hint)
    tell_page(folders, output, split, rows)
