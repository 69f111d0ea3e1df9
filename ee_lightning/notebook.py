"""Tables as notebooks show them."""

from collections.abc import Sequence
from html import escape


def html_table(title: str, heads: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Return a table with a title; every text in it is escaped.

    Example:
        >>> html_table("a & b", ["x"], [[1]])
        '<table><caption>a &amp; b</caption><tr><th>x</th></tr><tr><td>1</td></tr></table>'
    """

    def row(cells: Sequence[object], kind: str) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(str(cell))}</{kind}>" for cell in cells) + "</tr>"

    body = "".join(row(line, "td") for line in lines)
    return f"<table><caption>{escape(title)}</caption>{row(heads, 'th')}{body}</table>"
