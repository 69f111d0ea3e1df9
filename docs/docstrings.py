"""Turns what docstrings have of reStructuredText into Markdown, for the API pages: an extension of griffe."""

import re

from griffe import Extension, Object

TARGET = re.compile(r"^\.\. _([^:\n]+): (\S+)\n?", re.MULTILINE)
MATH = re.compile(r"^\.\. math:: (.*(?:\n {4}.*)*)", re.MULTILINE)


def as_markdown(text: str) -> str:
    r"""Return a docstring whose links, formulas and headings MkDocs understands.

    Example:
        >>> as_markdown("See `Sun 2021`_.\n\n.. _Sun 2021: https://arxiv.org/abs/2105.13792\n")
        'See [Sun 2021](https://arxiv.org/abs/2105.13792).\n\n'
    """
    targets = dict(TARGET.findall(text))
    text = TARGET.sub("", text)
    text = re.sub(r"`([^`<]+?)\s*<(\S+?)>`_", r"[\1](\2)", text)
    text = re.sub(r"`([^`]+)`_", lambda found: f"[{found[1]}]({targets[' '.join(found[1].split())]})", text)
    text = MATH.sub(lambda found: f"```latex\n{re.sub(r'^ +', '', found[1], flags=re.MULTILINE)}\n```", text)
    text = re.sub(r":\w+:`([^`]+)`", r"`\1`", text)
    return re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)


class Markdown(Extension):
    """Rewrites every docstring when all are read."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
