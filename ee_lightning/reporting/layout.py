"""Tables as Markdown and LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Text:
    """What stands in a cell of a table: figure or words, what stands beside it in small print, whether it is best."""

    main: str
    asides: Sequence[str] = ()
    is_best: bool = False


@dataclass(frozen=True)
class Table:
    """A table of a short name and a title, line by line.

    A heading is that of a group of columns and of a column within it, which may be empty. The separator stands between
    a cell's main text and its asides where they share a line.
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


def markdown_table(table: Table) -> str:
    """Return a table as Markdown, its headings in one line."""
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


def latex_table(table: Table) -> str:
    """Return a table as LaTeX, by the package booktabs, no wider than the page."""
    groups = [
        rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}" if span > 1 else escape(name) for name, span in table.groups
    ]
    heads = [groups, list(map(escape, table.subheadings))] if table.subheadings else [groups]
    lines = [[_latex_cell(cell, table.separator) for cell in line] for line in table.lines]
    layout = "ll" + "c" * (len(table.columns) - 2)
    return _TABLE % (escape(table.title), layout, _latex_lines(heads), _latex_lines(lines))


def _latex_lines(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(" & ".join(line) + r" \\" for line in lines)


def _latex_cell(cell: Text, separator: str) -> str:
    main = rf"\textbf{{{escape(cell.main)}}}" if cell.is_best else escape(cell.main)
    return escape(separator).join([main, *map(escape, cell.asides)])


def escape(text: str) -> str:
    """Return a text as LaTeX prints it; what Latin 1 lacks is a question mark."""
    return _NOT_LATIN_1.sub("?", text.translate(_SPECIAL))
