"""A suite's tables as LaTeX."""

import re
from collections.abc import Sequence

import pandas as pd

from ee_lightning.reproduce.report.tables import join, scores, tests, title_of_tests
from ee_lightning.reproduce.report.wording import beside, score, speeds
from ee_lightning.reproduce.results.cells import Cell, Results
from ee_lightning.reproduce.results.comparison import Comparison

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
