"""A suite's report: tables, pictures and a page, of the runs that have finished."""

import io
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ee_lightning.files import written_whole
from ee_lightning.reporting import RunFolder
from ee_lightning.reproduce.report.figures import draw_task
from ee_lightning.reproduce.report.footnotes import footnotes
from ee_lightning.reproduce.report.latex import as_latex
from ee_lightning.reproduce.report.page import as_page
from ee_lightning.reproduce.report.settings import settings
from ee_lightning.reproduce.report.tables import as_csv, as_markdown
from ee_lightning.reproduce.report.verdict import verdict
from ee_lightning.reproduce.results.cells import tabulate
from ee_lightning.reproduce.results.comparison import compare
from ee_lightning.reproduce.results.evaluation import RunKey, evaluate
from ee_lightning.reproduce.suites.suite import Suite


def write_report(suite: Suite, folders: Mapping[RunKey, RunFolder], root: Path) -> None:
    """Write ``tables.md``, ``tables.tex``, ``tables.csv``, a picture for each task, and ``report.html``.

    Each is written whole or not at all, and is the same for the same runs. A run that can't be read is left out, and
    the notes say why.

    Args:
        suite: The suite.
        folders: Its finished runs, by the name of the column, that of the training, and the seed.
        root: Where to write.

    Raises:
        OptionError: There is no published table of the name that the suite gives.
        RunFolderError: A file can't be written.
    """
    found = evaluate(suite, folders)
    results, comparisons = tabulate(found), compare(found)
    pictures = {}
    for task in suite.tasks:
        if (figure := draw_task(found, results, task)) is not None:
            figure.savefig(buffer := io.BytesIO(), format="png")
            pictures[task] = buffer.getvalue()
            with written_whole(root / picture_name(task)) as file:
                file.write_bytes(pictures[task])
    trained_with = pd.DataFrame(settings(found))
    said, notes = verdict(results, comparisons), footnotes(found, results, comparisons)
    texts = {
        "tables.md": as_markdown(results, comparisons, said, notes, trained_with),
        "tables.tex": as_latex(results, comparisons, said, notes),
        "tables.csv": as_csv(results, comparisons),
        "report.html": as_page(found, results, comparisons, said, notes, trained_with, pictures),
    }
    for name, text in texts.items():
        with written_whole(root / name) as file:
            file.write_text(text, encoding="utf-8")


def picture_name(task: str) -> str:
    """Name the picture of a task.

    Example:
        >>> picture_name("AG News")
        'curves_AG_News.png'
    """
    return re.sub(r"[^\w-]+", "_", f"curves {task}") + ".png"
