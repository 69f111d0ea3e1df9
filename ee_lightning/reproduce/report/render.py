"""A report, and it as Markdown, LaTeX and a page of HTML."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Text:
    """What stands in a cell of a table.

    Attributes:
        main: The figure or the words.
        asides: What stands beside it, in small print where there is some.
        is_best: Whether it is to stand out.
    """

    main: str
    asides: Sequence[str] = ()
    is_best: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: A short word for it.
        title: What it shows.
        columns: The headings, each of a group of columns and of a column within it, which may be empty.
        lines: The cells, line by line.
        separator: What stands between a cell's main text and its asides where they share a line.
    """

    name: str
    title: str
    columns: Sequence[tuple[str, str]]
    lines: Sequence[Sequence[Text]]
    separator: str = " "

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The headings of the groups, and of how many columns each is."""
        return [(name, len(list(columns))) for name, columns in groupby(name for name, _ in self.columns)]

    @property
    def subheadings(self) -> list[str]:
        """The headings within the groups; empty where there is none."""
        return [name for _, name in self.columns] if any(name for _, name in self.columns) else []


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
        parts += [f"## {table.title}", _markdown_table(table)]
    parts += ["## Notes", "\n".join(f"- {note}" for note in report.notes)]
    if report.trainings.lines:
        parts += [f"## {report.trainings.title}", _markdown_table(report.trainings)]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    heads = [" ".join(filter(None, column)) for column in table.columns]
    lines = [
        [table.separator.join([f"**{cell.main}**" if cell.is_best else cell.main, *cell.asides]) for cell in line]
        for line in table.lines
    ]
    every = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in every)


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
\begin{tabular}{%s}
\toprule
%s
\midrule
%s
\bottomrule
\end{tabular}}
\end{table}
"""


def as_latex(report: Report) -> str:
    """Write title, results and notes of a report as a LaTeX document."""
    items = "\n".join(rf"\item {_escape(note)}" for note in report.notes)
    parts = [
        rf"\section*{{{_escape(report.title)}}}",
        *map(_escape, report.paragraphs),
        *map(_latex_table, report.tables),
        f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}",
    ]
    return _DOCUMENT % "\n\n".join(parts)


def _latex_table(table: Table) -> str:
    groups = [
        rf"\multicolumn{{{span}}}{{c}}{{{_escape(name)}}}" if span > 1 else _escape(name) for name, span in table.groups
    ]
    heads = [groups, list(map(_escape, table.subheadings))] if table.subheadings else [groups]
    lines = [[_latex_cell(cell, table.separator) for cell in line] for line in table.lines]
    layout = "ll" + "c" * (len(table.columns) - 2)
    return _TABLE % (_escape(table.title), layout, _latex_lines(heads), _latex_lines(lines))


def _latex_lines(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(" & ".join(line) + r" \\" for line in lines)


def _latex_cell(cell: Text, separator: str) -> str:
    main = rf"\textbf{{{_escape(cell.main)}}}" if cell.is_best else _escape(cell.main)
    return _escape(separator).join([main, *map(_escape, cell.asides)])


def _escape(text: str) -> str:
    return _NOT_LATIN_1.sub("?", text.translate(_SPECIAL))


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
