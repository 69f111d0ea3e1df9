import pickle
from copy import deepcopy

import pytest
import torch

from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, Criterion, Decision, ExitOutput, Voting, name_with_options
from ee_lightning.functional import Target


class LastClass(Criterion):
    """The least that a criterion has to say."""

    name = "last class"

    def step(self, output, state):
        return Decision(output.logits[:, -1], output.predictions), state


def test_a_criterion_starts_with_nothing_and_falls_back_on_the_last_prediction():
    criterion = LastClass()
    assert criterion.start(3, Target.of(2), torch.device("cpu")) == {}
    output = ExitOutput(2, 2, torch.tensor([[0.0, 1.0], [3.0, 2.0]]))
    assert criterion.fallback(output, {}).tolist() == [1, 0]


def test_a_criterion_without_a_step_cannot_be_made():
    with pytest.raises(TypeError, match="step"):
        type("Stepless", (Criterion,), {"name": "stepless"})()


def test_names_tell_changed_options_only_and_numbers_exactly():
    assert name_with_options("rule", a=(1, 1.0), b=("x", "x")) == "rule"
    assert name_with_options("rule", a=(0.12345678, 1.0), b=("y", "x")) == "rule(a=0.12345678, b=y)"
    assert name_with_options("rule", a=([1.0, 2, 1 / 3], None)) == f"rule(a=[1, 2, {1 / 3!r}])"


class Scaled(LastClass):
    """Has options of its own, and none of its name's."""

    def __init__(self, factor: float = 1.0, *, shift: float = 0.0) -> None:
        self.factor = factor


class Halved(Scaled):
    """Hands an option on."""

    name = "halved"

    def __init__(self, *, even: bool = False) -> None:
        super().__init__(0.5)


def test_a_criterion_is_named_by_its_class_and_the_options_that_differ_from_their_defaults():
    assert (Scaled().name, Scaled(1).name, Scaled(2.0, shift=1).name) == (
        "Scaled",
        "Scaled",
        "Scaled(factor=2, shift=1)",
    )
    assert (Scaled.name, Halved(even=True).name, LastClass().name) == ("Scaled", "halved(even=True)", "last class")
    assert Halved(even=True).init_args == {"even": True}
    copied = pickle.loads(pickle.dumps(deepcopy(Scaled(3))))
    assert (copied.name, copied.init_args, copied.factor) == ("Scaled(factor=3)", {"factor": 3}, 3)


def test_repr_shows_the_name():
    assert repr(Confidence()) == "Confidence('confidence')"
    assert repr(Voting(k=1)) == "Voting('voting(k=1)')"


def test_exits_that_predict_a_value_are_refused_unless_a_criterion_handles_them():
    with pytest.raises(OptionError, match=r"(?s)last class needs classes.*gate"):
        LastClass().start(3, Target.of(1), torch.device("cpu"))
    handles = type("Handles", (LastClass,), {"handles_regression": True})
    assert handles().start(3, Target.of(1), torch.device("cpu")) == {}
