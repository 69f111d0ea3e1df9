"""Criteria of your own, in a module outside the package."""

import sys

import pytest
import torch
from factories import random_exits

from ee_lightning.errors import OptionError
from ee_lightning.exits import replay
from ee_lightning.exits.naming import CriterionSpec, criteria, spec_of

MODULE = """
from dataclasses import dataclass

import torch

from ee_lightning.exits import Criterion, Decision, Fitted


class Least(Criterion):
    def __init__(self, scale: float = 1.0, words: list[str] | None = None) -> None:
        self.scale = scale

    def step(self, output, state):
        return Decision(self.scale * output.probabilities.amax(-1), output.predictions), state


class Learns(Fitted):
    def __init__(self, power: int = 1) -> None:
        self.power = power

    def estimate(self, exits):
        return {"largest": exits.logits.amax()}

    def step(self, output, state):
        return Decision(output.logits.amax(-1) / self.parameters(output)["largest"], output.predictions), state


class Stepless(Criterion):
    pass


@dataclass
class Data(Least):
    factor: float = 1.0


class Wrong(Least):
    def __init__(self, how: str = "") -> None:
        self.how = how

    def step(self, output, state):
        score, label = output.probabilities.amax(-1), output.predictions
        return {
            "only a decision": lambda: Decision(score, label),
            "nothing": lambda: None,
            "a number": lambda: (Decision(0.5, label), state),
            "another shape": lambda: (Decision(output.probabilities, label), state),
            "one for all": lambda: (Decision(score.mean(), label), state),
            "whole numbers": lambda: (Decision(label, label), state),
            "truth values": lambda: (Decision(score, label > 0), state),
            "no number": lambda: (Decision(score * torch.nan, label), state),
            "a state for all": lambda: (Decision(score, label), {"seen": torch.zeros(2, 3)}),
            "a state of no tensors": lambda: (Decision(score, label), {"seen": 1}),
            "a fallback": lambda: (Decision(score, label), state),
        }[self.how]()

    def fallback(self, output, state):
        return output.probabilities if self.how == "a fallback" else output.predictions
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write the module where it can be imported; return it once it is."""
    (tmp_path / "own_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_module", raising=False)
    yield lambda: sys.modules["own_module"]
    sys.modules.pop("own_module", None)


def test_it_goes_by_its_class_path_beside_ours_and_comes_back_as_what_it_was(own):
    first, second = criteria("own_module.Least(scale=0.5, words=['a']), voting")
    assert first == CriterionSpec("own_module.Least", {"scale": 0.5, "words": ["a"]})
    criterion = first.build()
    assert isinstance(criterion, own().Least)
    assert (criterion.name, second.build().name) == ("Least(scale=0.5, words=[a])", "voting")
    assert spec_of(criterion) == first
    assert spec_of(own().Least(1)) == spec_of("own_module.Least")


def test_what_it_has_learnt_comes_back_too(own):
    exits = random_exits(3, 20, 2)
    criterion = spec_of("own_module.Learns(power=2)").build()
    criterion.fit(exits)
    again = spec_of(criterion).build()
    assert torch.equal(replay(criterion, exits).scores, replay(again, exits).scores)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_modul.Least", r"no criterion own_modul.Least: No module named 'own_modul'[\s\S]*PYTHONPATH"),
        ("own_module.Leest", r"own_module has no Leest[\s\S]*did you mean Least\?"),
        ("own_module.torch", r"torch is no subclass of ee_lightning.exits.Criterion"),
        ("own_module.Stepless", r"Stepless lacks the method step[\s\S]*hint: .*Decision\(score, label\)"),
        ("own_module.Least(scal=1)", r"Least got scal=1[\s\S]*hint: .*Least\(scale: float = 1.0, words"),
        ("own_module.Least(scale=much)", r"Least got scale='much'"),
        ("own_module.", r"no criterion own_module\.: own_module has no "),
    ],
)
def test_one_that_can_not_be_made_says_why(own, name, message):
    with pytest.raises(OptionError, match=message):
        spec_of(name)


def test_a_module_that_fails_says_so(tmp_path, monkeypatch):
    (tmp_path / "failing_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OptionError, match=r"no criterion failing_module.Own: division by zero"):
        spec_of("failing_module.Own")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda own: own.Least(words=[torch.zeros(1)]), "Tensor is not JSON serializable"),
        (lambda own: own.Least(words=("a", "b")), "another one comes out"),
        (lambda own: own.Data(2.0), "another one comes out"),
        (lambda own: type("Passing", (own.Least,), {})(), "has no Passing"),
    ],
)
def test_one_that_can_not_be_made_again_says_why(own, make, why):
    spec_of("own_module.Least")
    with pytest.raises(
        OptionError, match=rf"can't be made again from its class and options: .*{why}[\s\S]*hint: .*top"
    ):
        spec_of(make(own()))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("only a decision", "step returns a Decision as result"),
        ("nothing", "step returns a NoneType as result"),
        ("a number", "step returns a float as score"),
        ("another shape", r"step returns torch.float32 of shape \[5, 3\], .* as score"),
        ("one for all", r"step returns torch.float32 of shape \[\], .* as score"),
        ("whole numbers", r"step returns torch.int64 of shape \[5\], .* as score"),
        ("truth values", r"step returns torch.bool of shape \[5\], .* as label"),
        ("no number", r"step returns torch.float32 of shape \[5\], \[nan, .* as score"),
        ("a state for all", r"step returns torch.float32 of shape \[2, 3\], .* as state\['seen'\]"),
        ("a state of no tensors", r"step returns a int as state\['seen'\]"),
        ("a fallback", r"fallback returns torch.float32 of shape \[5, 3\], .* as label"),
    ],
)
def test_one_that_breaks_the_contract_is_told_which_part(own, how, message):
    criterion = CriterionSpec("own_module.Wrong", {"how": how}).build()
    with pytest.raises(OptionError, match=rf"Wrong.{message}[\s\S]*hint:  step\(output, state\) returns \(Decision"):
        replay(criterion, random_exits(2, 5, 3))
