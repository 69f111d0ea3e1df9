"""Objects of values that came from outside."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from ee_lightning.errors import OptionError
from ee_lightning.exits import PCEE, Entropy
from ee_lightning.operating.construction import construct, suits

SUITS = [
    (float, [1, 0.5], [True, "1", None, [1.0]]),
    (int, [1, -3], [1.5, True, "1", None]),
    (bool, [True], [1, "true"]),
    (str, ["a"], [1, None]),
    (Literal["a", "b"], ["a", "b"], ["c", 1, ["a"]]),
    (float | None, [1, 0.5, None], [False, "None"]),
    (list[float] | None, [[], [1, 0.5], None], [[True], ["1"], 1, {}]),
    (list, [[], ["a"]], ["a"]),
    (Mapping[str, int], [{}, {"a": 1}], [[], None]),
    (Any, [1, None, "a"], []),
    ("Unresolved", [1, None, "a"], []),
]


@pytest.mark.parametrize(("annotation", "good", "bad"), SUITS, ids=[str(row[0]) for row in SUITS])
def test_values_suit_their_annotation(annotation, good, bad):
    assert all(suits(value, annotation) for value in good)
    assert not any(suits(value, annotation) for value in bad)


@pytest.mark.parametrize("options", [{"patience": 1.5}, {"patience": True}, {"label": "median"}, {"t": 3}])
def test_an_option_that_is_refused_is_named_with_those_there_are(options):
    ((option, value),) = options.items()
    with pytest.raises(OptionError) as caught:
        construct(PCEE, options)
    assert caught.value.what == f"PCEE got {option}={value!r}"
    assert caught.value.where == f"PCEE.{option}"
    assert "PCEE(patience: int = 2, label: Literal['argmax', 'mean'] = 'argmax')" in caught.value.mend


def test_a_class_without_options_takes_none():
    assert isinstance(construct(Entropy, {}), Entropy)
    with pytest.raises(OptionError, match=r"Entropy got k=1[\s\S]*it takes Entropy\(\)"):
        construct(Entropy, {"k": 1})


def test_a_missing_option_is_named():
    def __init__(self, least: float) -> None: ...

    with pytest.raises(OptionError, match=r"Needy got no least[\s\S]*Needy\(least: float\)"):
        construct(type("Needy", (), {"__init__": __init__}), {})
