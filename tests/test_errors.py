"""Messages that quote anything."""

import pytest

from ee_lightning.errors import USER_MISTAKES, EarlyExitError, OptionError, as_mistake, require_one_of, shown


def test_no_message_is_longer_than_2000_characters() -> None:
    error = EarlyExitError("a" * 10**6 + "z", where="/b" * 10**5 + "/c.csv", hint="use one of " + "d, " * 10**5 + "e")
    message = str(error)
    assert 1000 < len(message) < 2000
    assert [line.strip()[:12] for line in message.splitlines()] == ["aaaaaaaaaaaa", "where: /b/b/", "hint:  use o"]
    assert message.endswith("d, e")
    assert "characters left out" in message
    assert len(error.what) < 1000


def test_what_is_short_is_left_as_it_is() -> None:
    error = EarlyExitError("eine Größe\nvon 3", where="data/größe.csv", hint="use 2 × 3 ≥ 5")
    assert str(error) == "eine Größe\nvon 3\n  where: data/größe.csv\n  hint:  use 2 × 3 ≥ 5"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "\r", "\x07", "\x00", "\u202e", "\udcff"])
def test_nothing_that_is_quoted_drives_the_terminal(hostile: str) -> None:
    error = EarlyExitError(f"the label a{hostile}b", where=f"c{hostile}d\n.csv", hint=f"use e{hostile}f")
    assert hostile not in str(error)
    assert str(error).count("\n") == 2
    assert f"a{hostile.encode('unicode_escape').decode()[:2]}" in str(error)


def test_what_is_cut_keeps_beginning_and_end() -> None:
    assert shown("a" * 12 + "b" * 1000, 15) == "aaaaaaaaaa … (997 characters left out) … bbbbb"
    assert len(shown("\x00" * 10**5, 100)) < 150


def test_a_choice_that_is_long_is_cut() -> None:
    with pytest.raises(OptionError) as caught:
        require_one_of("x" * 10**5, ["sum", "mean"], "reduction")
    assert len(caught.value.what) < 300
    assert caught.value.what.endswith("x' is not a value of reduction")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(13, "Permission denied", "a", None, "b"),
            "Permission denied\n  where: a and b\n  hint:  get the",
        ),
        (OSError(30, "Read-only file system", "a/b"), "Read-only file system\n  where: a/b\n  hint:  name a folder"),
        (OSError("no such model"), "no such model\n  hint:"),
        (MemoryError(), "there is not enough memory\n"),
        (RecursionError("maximum recursion depth exceeded"), "lists or mappings are nested too deeply\n"),
        (UnicodeDecodeError("ascii", b"\xc3", 0, 1, "not ASCII"), "a name or a text can't be read as Unicode: 'ascii'"),
    ],
)
def test_what_files_and_the_machine_are_to_blame_for_is_a_mistake(error: Exception, said: str) -> None:
    assert isinstance(error, USER_MISTAKES)
    assert str(as_mistake(error)).startswith(said)


def test_a_mistake_stays_what_it_is() -> None:
    error = OptionError("wrong", hint="right")
    assert as_mistake(error) is error
