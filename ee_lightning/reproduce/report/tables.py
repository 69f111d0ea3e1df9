"""The report of a suite, of the runs that have finished, as Markdown, LaTeX, CSV and a page of HTML."""

import base64
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import count
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ee_lightning.files import written_whole
from ee_lightning.reporting.layout import Table, Text, escape, latex_table, markdown_table
from ee_lightning.reproduce.evaluation import VARIANTS, Evaluation, RunKey, evaluate
from ee_lightning.reproduce.report.figures import draw_task
from ee_lightning.reproduce.report.words import (
    CHOSEN,
    about,
    beside,
    difference_in_words,
    footnotes,
    score,
    settings,
    speed,
    verdict,
)
from ee_lightning.reproduce.results import Cell, Comparison, Results, compare, tabulate
from ee_lightning.reproduce.suite import Suite
from ee_lightning.runs.folder import RunFolder


@dataclass(frozen=True)
class Report:
    """All that is said of a suite.

    Attributes:
        title: The heading.
        paragraphs: What is read first.
        tables: The results.
        notes: How they came about.
        trainings: What the trainings were run with.
        runs: Their run folders, on the page alone.
        pictures: PNG files, by task, on the page alone.
        versions: Of the programs that made it, on the page alone.
    """

    title: str
    paragraphs: Sequence[str]
    tables: Sequence[Table]
    notes: Sequence[str]
    trainings: Table
    runs: Table
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    versions: str = ""


def as_markdown(report: Report) -> str:
    """Write a report as Markdown."""
    parts = [f"# {report.title}", *report.paragraphs]
    for table in report.tables:
        parts += [f"## {table.title}", markdown_table(table)]
    parts += ["## Notes", "\n".join(f"- {note}" for note in report.notes)]
    if report.trainings.lines:
        parts += [f"## {report.trainings.title}", markdown_table(report.trainings)]
    return "\n\n".join(parts) + "\n"


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


def as_latex(report: Report) -> str:
    """Write title, results and notes of a report as a LaTeX document."""
    items = "\n".join(rf"\item {escape(note)}" for note in report.notes)
    parts = [
        rf"\section*{{{escape(report.title)}}}",
        *map(escape, report.paragraphs),
        *map(latex_table, report.tables),
        f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}",
    ]
    return _DOCUMENT % "\n\n".join(parts)


def as_page(report: Report) -> str:
    """Write a page that holds all of a report, pictures included, and runs nothing."""
    environment = Environment(
        loader=PackageLoader("ee_lightning.reproduce.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pictures = {task: base64.b64encode(picture).decode() for task, picture in report.pictures.items()}
    return environment.get_template("report.html.jinja").render(report=report, pictures=pictures)


_OF_CELLS = (
    *("score", "deviation", "published", "difference"),
    *("layer_speedup", "flops_speedup", "wall_speedup"),
)
_COLUMNS = (
    *("suite", "row", "training", "criterion", "stated_speedup", "task", "chosen_on", "seeds", *_OF_CELLS),
    *("best", "tested_against", "ahead_by", "p_value"),
)
_PACKAGES = ("ee_lightning", "torch", "lightning", "transformers", "datasets", "numpy")


def write_report(suite: Suite, folders: Mapping[RunKey, RunFolder], root: Path) -> list[str]:
    """Write ``tables.md``, ``tables.tex``, ``tables.csv``, a picture for each task, and ``report.html``.

    Each is written whole or not at all, and is the same for the same runs. A run that can't be read is left out; the
    notes say why, and so does what is returned.
    """
    found = evaluate(suite, folders)
    results, comparisons = tabulate(found), compare(found)
    pictures = {}
    for task in suite.tasks:
        if (figure := draw_task(found, results, task)) is not None:
            figure.savefig(buffer := io.BytesIO(), format="png")
            pictures[task] = buffer.getvalue()
    report = report_of(found, results, comparisons, pictures)
    texts = {
        "tables.md": as_markdown(report),
        "tables.tex": as_latex(report),
        "tables.csv": as_csv(results, comparisons),
        "report.html": as_page(report),
    }
    files = {name: text.encode() for name, text in texts.items()}
    files |= dict(zip(picture_names(list(pictures)), pictures.values(), strict=True))
    for name, content in files.items():
        with written_whole(root / name) as file:
            file.write_bytes(content)
    return found.problems


def report_of(
    found: Evaluation, results: Results, comparisons: Sequence[Comparison], pictures: Mapping[str, bytes]
) -> Report:
    """Say all that was found; pictures are PNG files, by task."""
    paths = [(task, training, str(seed), str(run.folder.path)) for (task, training, seed), run in found.runs.items()]
    trainings = settings(found)
    heads = list(trainings[0]) if trainings else []
    return Report(
        title=results.suite.title,
        paragraphs=[verdict(results, comparisons), about(found)],
        tables=result_tables(results, comparisons),
        notes=footnotes(found, results, comparisons, trainings),
        trainings=_plain("trainings", "Trainings", heads, [list(row.values()) for row in trainings]),
        runs=_plain("runs", "Run folders", ["task", "training", "seed", "run folder"], paths),
        pictures=pictures,
        versions=", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    )


def result_tables(results: Results, comparisons: Sequence[Comparison]) -> list[Table]:
    """Lay out scores, speed-ups and tests: for every task both ways of choosing thresholds."""

    def of_score(cell: Cell) -> Text:
        return Text(score(cell, results.num_seeds), list(filter(None, [beside(cell)])), cell.is_best)

    def of_speeds(cell: Cell) -> Text:
        reached = {"layers": cell.layer_speedup, "FLOPs": cell.flops_speedup, "clock": cell.wall_speedup}
        known = [f"{speed(factor)} {name}" for name, factor in reached.items() if factor is not None] or [speed(None)]
        return Text(known[0], known[1:])

    title = (
        "Scores in percent, thresholds chosen (a) on the dev set or (b) on rows held out of training; in brackets what "
        "was published, and the difference"
    )
    tables = [
        _of_cells(results, "scores", title, of_score),
        _of_cells(results, "speeds", "Speed-ups reached, by layers, by FLOPs and on the clock", of_speeds, " · "),
    ]
    if comparisons:
        lines = [
            [each.other.label, CHOSEN[each.variant]]
            + [
                difference_in_words(each.by_task.get(column) if column in results.suite.tasks else each.average)
                for column in results.columns
            ]
            for each in comparisons
        ]
        title = f"{comparisons[0].row.label} against others: points ahead (95 % interval), p-value, seeds ahead"
        tables.append(_plain("tests", title, ["against", "chosen", *results.columns], lines))
    return tables


def _of_cells(results: Results, name: str, title: str, text: Callable[[Cell], Text], separator: str = " ") -> Table:
    places = [(column, variant) for column in results.columns for variant in VARIANTS]
    heads = [("method", ""), ("stated", ""), *((column, CHOSEN[variant]) for column, variant in places)]
    lines = [
        [Text(row.label), Text(f"{row.speedup:g}x")]
        + [text(cell) if (cell := results.cells.get((row, *place))) else Text("–") for place in places]
        for row in results.suite.rows
    ]
    return Table(name, title, heads, lines, separator)


def _plain(name: str, title: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    return Table(name, title, [(head, "") for head in heads], [[Text(cell) for cell in line] for line in lines])


def as_csv(results: Results, comparisons: Sequence[Comparison]) -> str:
    """Write a line for every cell, scores in percent; the tests of a row stand with its cells, by what it is tested on.

    A row's first rival alone is among them: the second row of the suite's ``compare``.
    """
    tested = {
        (each.row, column, each.variant): (each.other.label, found)
        for each in reversed(comparisons)
        for column, found in [*each.by_task.items(), (results.columns[-1], each.average)]
        if found is not None
    }
    lines = []
    for (row, column, variant), cell in results.cells.items():
        against, found = tested.get((row, column, variant), (None, None))
        lines.append(
            {
                "suite": results.suite.name,
                "row": row.label,
                "training": row.training,
                "criterion": row.criterion,
                "stated_speedup": row.speedup,
                "task": column,
                "chosen_on": variant,
                "seeds": cell.num_seeds,
                **{name: getattr(cell, name) for name in _OF_CELLS},
                "best": cell.is_best,
                "tested_against": against,
                "ahead_by": None if found is None else found.value,
                "p_value": None if found is None else found.p_value,
            }
        )
    return str(pd.DataFrame(lines, columns=_COLUMNS).to_csv(index=False))


def picture_names(tasks: Sequence[str]) -> list[str]:
    """Name the pictures of tasks.

    Example:
        >>> picture_names(["AG News", "AG-News", "AG_News"])
        ['curves_AG_News.png', 'curves_AG-News.png', 'curves_AG_News_2.png']
    """
    names = list[str]()
    for task in tasks:
        stem = re.sub(r"[^\w-]+", "_", f"curves {task}")
        numbered = (f"{stem}.png" if number == 1 else f"{stem}_{number}.png" for number in count(1))
        names.append(next(name for name in numbered if name not in names))
    return names
