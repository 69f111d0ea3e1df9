"""Lines that end between words in a terminal."""

import re
import shutil
from textwrap import fill
from typing import TextIO

_LABEL = re.compile(r"\s*(?:(?:where|hint|warning|error):\s+)?")


def wrapped(text: str, stream: TextIO) -> str:
    """Return a text as a stream shows it: a terminal has lines broken between words, anything else whole lines.

    What goes on in another line stands below the first word after a label such as ``hint:``.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(line if len(line) <= width else _broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    found = _LABEL.match(line)
    indent = " " * min(found.end() if found else 0, width // 2)
    return fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
