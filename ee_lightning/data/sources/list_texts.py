"""Lists that were written as text, as pandas writes them into CSV files."""

import ast
import json
import re

from ee_lightning.data.sources.words import word_of

LONGEST = 2**16
"""In characters: longer texts are not read as lists."""

_ENTRY = r"""\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[-+.\w]+)\s*"""
_FLAT = re.compile(rf"\[(?:\s*|{_ENTRY}(?:,{_ENTRY})*)\]", re.DOTALL)
_EMPTY = ("()", "{}", "set()")


def words_in(text: str) -> list[str] | None:
    """Return the entries of a list of texts, numbers or truth values in the notation of Python or JSON.

    Args:
        text: What a cell says.

    Returns:
        The entries as words; None if the text is no such list.

    Example:
        >>> words_in("['fun', 'praise']"), words_in("[1, 0.0, true]"), words_in("[]"), words_in("fun")
        (['fun', 'praise'], ['1', '0', 'True'], [], None)
    """
    if len(text) > LONGEST or not _FLAT.fullmatch(text):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            entries = read(text)
        except (ValueError, SyntaxError):
            continue
        if all(isinstance(entry, str | int | float) for entry in entries):
            return [word_of(entry.strip() if isinstance(entry, str) else entry) for entry in entries]
    return None


def looks_like_a_list(text: str) -> bool:
    """Whether a text that is no list to `words_in` seems to be meant as one, or as a tuple or set.

    Args:
        text: What a cell says.

    Example:
        >>> [looks_like_a_list(text) for text in ("['fun' 'praise']", "('fun',)", "[1 0 1]", "[sic]")]
        [True, True, True, False]
    """
    inside = text[1:-1].strip()
    if not (text[:1] + text[-1:] in ("[]", "()", "{}") and inside):
        return text in _EMPTY
    if text[0] == "[" and not {*inside} & {*"[]"}:
        return any(character.isspace() or character in ",'\"" for character in inside)
    return inside[0] in "'\"" or text[0] == inside[0] == "["
