"""Values from outside are of their types, or refused by the path of the field."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from ee_lightning.errors import OptionError
from ee_lightning.files import read_json, read_yaml, typed

BOMB = ("ba", "cb", "dc", "ed")


@dataclass(frozen=True)
class _Part:
    name: str
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a part has no name")


@dataclass(frozen=True)
class _Whole:
    parts: list[_Part]
    rate: float
    kind: Literal["a", "b"] = "a"


def test_nested_values_become_objects() -> None:
    whole = typed(_Whole, {"parts": [{"name": "x", "sizes": [1, 2]}], "rate": 1})
    assert whole == _Whole([_Part("x", (1, 2))], 1.0)
    assert typed(_Whole, {"parts": [], "rate": 0.5, "of": 3}, others=True) == _Whole([], 0.5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": "1"}, "rate is '1', and it should be a valid number"),
        ({"rate": True}, "rate is True, and it should be a valid number"),
        ({"parts": None}, "parts is None"),
        ({"parts": [{"name": "x", "sizes": [1.5]}]}, "parts.0.sizes.0 is 1.5"),
        ({"parts": [{}]}, "parts.0.name is missing"),
        ({"parts": [{"name": ""}]}, "a part has no name"),
        ({"kind": "c"}, "kind is 'c', and it should be 'a' or 'b'"),
        ({"of": 3}, "of is not known"),
        ({"rate": "x" * 500}, f"rate is '{'x' * 59}…"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_field_that_is_wrong_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        typed(_Whole, {"parts": [], "rate": 0.5, **changes})
    assert said in caught.value.what
    with pytest.raises(OptionError, match=r"model\.heads\.rate is missing"):
        typed(_Whole, {"parts": []}, at="model.heads")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"a": ' * 150 + "1" + "}" * 150),
        ("a.yaml", "a: " + "[" * 150 + "]" * 150),
        ("a.yaml", "a: &a [*a]"),
        (
            "a.yaml",
            "a: &a [0, 0, 0, 0]\n" + "".join(f"{x}: &{x} [{f'*{y}, ' * 32}]\n" for x, y in BOMB),
        ),
        ("a.yaml", f"a: {'9' * 5000}"),
        ("a.json", f'{{"a": {"9" * 5000}}}'),
    ],
    ids=["deep JSON", "deep YAML", "a list in itself", "aliases of aliases", "digits in YAML", "digits in JSON"],
)
def test_what_is_too_much_is_refused(name: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(ValueError, match=r"nested too deeply|too many values|digits"):
        (read_json if name.endswith("json") else read_yaml)(file)


def test_json_may_hold_as_much_as_is_written(tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_text(f'{{"texts": [{", ".join(["0"] * 1_000_001)}]}}')
    assert len(read_json(tmp_path / "texts.json")["texts"]) == 1_000_001


def test_merges_are_merged(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("usual: &usual {b: 1, c: 2}\nmine: {<<: *usual, c: 3}\n")
    assert read_yaml(file)["mine"] == {"b": 1, "c": 3}
