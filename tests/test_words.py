"""README, docs, docstrings and messages are in plain English: words that readers stumble over are kept out."""

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
AVOIDED = {
    r"hangs? on\b": "depends on",
    r"(?:is|are) told\b": "gets, knows",
    r"\bone's own": "your own",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bwhoever\b": "anyone who",
    r"\bthereby\b": "so",
    r"\bwherein\b": "in which",
    r"\bhereby\b": "so",
    r"\blest\b": "so that … not",
    r"\bnought\b": "nothing",
    r"\bwhence\b": "from where",
    r"\bthence\b": "from there",
    r"\bamongst\b": "among",
    r"\bwhilst\b": "while",
    r"\butili[sz]e": "use",
    r"\bleverag": "use",
    r"\bseamless": "say what works",
    r"\bblazing": "give the figure",
    r"\bbespoke\b": "own, special",
    r"\bsave for\b": "except",
    r"\bwithout a word\b": "silently",
    r"\banew\b": "again",
    r"\bnobody (?:can )?leaves?\b|\blets nobody leave": "no sample leaves",
    r"\b(?:break|breaks|broke|broken|breaking) off\b": "stop",
    r"\bof like\b": "of similar",
    r"\bis dear\b": "takes long, costs much",
    r"\bupon\b": "on",
    r"\bprior to\b": "before",
    r"\bin order to\b": "to",
    r"\b(?:there|where)(?:of|upon|after)\b": "of it, then",
}
"""Words to avoid, as regular expressions, each with a plainer one."""


def _texts() -> Iterator[tuple[str, str]]:
    """Yield the texts that users read, each with its place."""
    found = (sorted(REPOSITORY.glob(each)) for each in ("*.md", "docs/**/*.md", "benchmarks/*.md", "findings/*.sh"))
    for page in chain.from_iterable(found):
        yield str(page.relative_to(REPOSITORY)), page.read_text(encoding="utf-8")
    for module in [*sorted((REPOSITORY / "ee_lightning").rglob("*.py")), *(REPOSITORY / "examples").glob("*.py")]:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield f"{module.relative_to(REPOSITORY)}:{node.lineno}", node.value


def _stumbles(text: str) -> list[str]:
    text = re.sub(r"`[^`]*`|\s+", " ", text)  # names in code are no words
    return [
        f"{found[0]!r}: write {plainer}"
        for words, plainer in AVOIDED.items()
        for found in re.finditer(words, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("text", ["the split hangs on this text", "a class of one's\nown", "Mend it"])
def test_a_word_to_avoid_is_found(text: str) -> None:
    assert _stumbles(text)


def test_no_text_has_words_to_avoid() -> None:
    assert [f"{place}: {found}" for place, text in _texts() for found in _stumbles(text)] == []
