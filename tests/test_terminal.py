"""Lines in a terminal, and in a pipe."""

import io

import pytest

from ee_lightning.terminal import wrapped

LINE = "  hint:  give a budget such as --min-speedup, and name the run folder whose exits are stored"


class Terminal(io.StringIO):
    """One of 80 columns, or of as many as ``COLUMNS`` says."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def test_a_pipe_gets_whole_lines() -> None:
    assert wrapped(LINE, io.StringIO()) == LINE


def test_a_terminal_gets_lines_that_end_between_words_below_their_label() -> None:
    lines = wrapped(f"error: no\n{LINE}", Terminal()).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[:2] == ["error: no", "  hint:  give a budget such as"]
    assert all(line.startswith(" " * 9) for line in lines[2:])
    assert "--min-speedup," in lines[2]  # whole, though it has a hyphen
    assert " ".join(" ".join(lines).split()) == " ".join(f"error: no {LINE}".split())


def test_a_word_that_is_longer_than_the_terminal_stays_whole() -> None:
    assert "x" * 60 in wrapped(f"saved: {'x' * 60} and more", Terminal())
