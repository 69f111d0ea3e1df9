"""A suite's report: tables, pictures, LaTeX and a single page, of the runs that have finished."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ee_lightning.files import written_whole
from ee_lightning.reproduce.evaluation import VARIANTS, Evaluation, RunKey, evaluate
from ee_lightning.reproduce.report import words as wording
from ee_lightning.reproduce.report.figures import draw_task
from ee_lightning.reproduce.report.tables import as_csv, as_markdown, join, scores, tests, title_of_tests
from ee_lightning.reproduce.report.words import beside, footnotes, score, settings, speeds, verdict
from ee_lightning.reproduce.results import Cell, Comparison, Results, compare, tabulate
from ee_lightning.reproduce.suite import Suite
from ee_lightning.runs.folder import RunFolder

_PACKAGES = ("ee_lightning", "torch", "lightning", "transformers", "datasets", "numpy")


def as_page(
    found: Evaluation,
    results: Results,
    comparisons: Sequence[Comparison],
    verdict: str,
    notes: Sequence[str],
    settings: pd.DataFrame,
    pictures: Mapping[str, bytes],
) -> str:
    """Write a page that holds everything, pictures included, and runs nothing.

    Args:
        found: What was found.
        results: The cells.
        comparisons: The tests.
        verdict: What the data say.
        notes: The footnotes.
        settings: What the trainings were run with.
        pictures: PNG files, by task.
    """
    environment = Environment(
        loader=PackageLoader("ee_lightning.reproduce.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    suite = results.suite
    planned = len(suite.tasks) * len(suite.seeds) * len({row.training for row in suite.rows})
    return environment.get_template("report.html.jinja").render(
        suite=suite,
        results=results,
        variants=VARIANTS,
        wording=wording,
        verdict=verdict,
        finished=len(found.runs),
        planned=planned,
        tests=tests(results, comparisons) if comparisons else None,
        title_of_tests=title_of_tests(comparisons) if comparisons else "",
        pictures={task: base64.b64encode(picture).decode() for task, picture in pictures.items()},
        settings=settings,
        notes=notes,
        runs={key: run.folder.path for key, run in found.runs.items()},
        versions={package: version(package) for package in _PACKAGES},
    )


_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": "$<$", ">": "$>$"}
    | {"±": r"$\pm$", "−": "$-$", "–": "--", "·": r"$\cdot$", "×": r"$\times$", "→": r"$\to$", "…": r"\ldots{}"}
    | {"≤": r"$\leq$", "≥": r"$\geq$", "α": r"$\alpha$", "β": r"$\beta$", "λ": r"$\lambda$", "τ": r"$\tau$"}
)
_NOT_LATIN_1 = re.compile(r"[^\n -~\u00a0-\u00ff]")
_DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage[landscape,margin=1.5cm]{geometry}
\begin{document}
%s
\end{document}
"""
_TABLE = r"""\begin{table}[h]
\centering
\caption{%s}
\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%%
%s}
\end{table}
"""


def as_latex(results: Results, comparisons: Sequence[Comparison], verdict: str, notes: Sequence[str]) -> str:
    """Write scores, speed-ups, tests and notes as a LaTeX document."""

    def text(cell: Cell) -> str:
        own = _escape(score(cell, results.num_seeds))
        return join(rf"\textbf{{{own}}}" if cell.is_best else own, _escape(beside(cell)))

    parts = [
        rf"\section*{{{_escape(results.suite.title)}}}",
        _escape(verdict),
        _TABLE
        % (
            _escape("Scores in percent; in brackets what was published, and the difference."),
            _latex_table(scores(results, text)),
        ),
        _TABLE
        % (
            _escape("Speed-ups reached: layers · FLOPs · clock."),
            _latex_table(scores(results, lambda cell: _escape(speeds(cell)))),
        ),
    ]
    if comparisons:
        table = tests(results, comparisons).map(_escape).set_index(["against", "chosen"])
        parts.append(_TABLE % (_escape(title_of_tests(comparisons)), _latex_table(table)))
    items = "\n".join(rf"\item {_escape(note)}" for note in notes)
    parts.append(f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}")
    return _DOCUMENT % "\n\n".join(parts)


def _latex_table(table: pd.DataFrame) -> str:
    escaped = table.rename(index=_escape, columns=_escape).rename_axis(index=_escape)
    layout = "ll" + "c" * len(table.columns)
    return str(escaped.style.to_latex(hrules=True, column_format=layout, multicol_align="c", sparse_index=False))


def _escape(text: str) -> str:
    return _NOT_LATIN_1.sub("?", text.translate(_SPECIAL))


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
