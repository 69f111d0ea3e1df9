"""Criteria as tables and command lines name them."""

import inspect
from typing import Any, get_args, get_type_hints

import pytest
import torch
from factories import stored

import ee_lightning.exits
from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA, Criterion, Fitted, Voting
from ee_lightning.exits.naming import CriterionSpec, criteria, spec_of

OTHER_VALUES: dict[str, list[Any]] = {
    "k": [0, 1, 1e-05, 0.123456789, 1 / 3],
    "tolerance": [3, 0.25, 1e-12],
    "patience": [1, 12],
    "base": ["margin", "learned_ensemble", "voting(k=0.5)", "beem(weights=[1, 2])"],
    "weights": [[1, 1.0, 1], [0.5], [1 / 3, 1e-07, 2]],
}
"""Of each option whose values are not listed by its type."""


def _other_values(kind: type, option: str) -> list[Any]:
    words = get_args(get_type_hints(kind.__init__)[option])  # type: ignore[misc]
    default = inspect.signature(kind).parameters[option].default
    return [value for value in OTHER_VALUES.get(option, words) if value != default]


OPTIONS = [
    (name, option, value)
    for name, kind in CRITERIA.items()
    for option in inspect.signature(kind).parameters
    for value in _other_values(kind, option)
]


@pytest.mark.parametrize(("name", "option", "value"), OPTIONS)
def test_a_name_with_an_option_reads_back(name, option, value):
    criterion = CRITERIA[name](**{option: value})
    assert criterion.name.startswith(f"{name}({option}=")
    (spec,) = criteria(criterion.name)
    assert spec.init_args == {option: value}
    assert spec.build().name == criterion.name
    assert _values(spec.build()) == _values(criterion)


def _values(criterion):
    return {name: _values(each) if isinstance(each, Criterion) else each for name, each in vars(criterion).items()}


def test_names_read_back_side_by_side():
    made = [kind() for kind in CRITERIA.values()] + [
        CRITERIA[name](**{option: value}) for name, option, value in OPTIONS
    ]
    names = [criterion.name for criterion in made]
    assert [spec.build().name for spec in criteria(", ".join(names))] == names


@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_is_named_by_its_public_path(name):
    (spec,) = criteria(name)
    assert spec.class_path == f"ee_lightning.exits.{CRITERIA[name].__name__}"
    assert getattr(ee_lightning.exits, CRITERIA[name].__name__) is CRITERIA[name]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "voting(",
        "voting(k)",
        "voting(k=)",
        "voting(k=[1)",
        "voting)",
        "beem([1])",
        "voting patience",
        "voting(k=1) patience",
        ",voting",
        "voting(k=1,majority)",
    ],
)
def test_what_can_not_be_read_is_refused(text):
    with pytest.raises(OptionError, match="hint:"):
        criteria(text)


def test_spaces_and_a_last_comma_do_no_harm():
    voting, beem = criteria(" voting( k = 1 , fallback = majority, ) , beem(weights=[ 1,2 ] ),")
    assert voting.init_args == {"k": 1, "fallback": "majority"}
    assert beem.init_args == {"weights": [1, 2]}


@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_is_made_anew_with_what_it_has_learnt(name):
    criterion: Criterion = CRITERIA[name]()
    if isinstance(criterion, Fitted):
        with pytest.raises(OptionError, match="not fitted yet"):
            spec_of(criterion)
        logits = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
        criterion.fit(stored(logits, torch.arange(40) % 2))
    again = spec_of(criterion).build()
    assert type(again) is type(criterion)
    assert again.name == criterion.name
    if isinstance(again, Fitted):
        assert again.fitted == criterion.fitted


def test_a_name_and_a_recipe_stand_for_themselves():
    spec = CriterionSpec("ee_lightning.exits.Voting", {"k": 1})
    assert spec_of("voting(k=1)") == spec_of(spec) == spec_of(Voting(k=1)) == spec


def test_one_criterion_is_one():
    with pytest.raises(OptionError, match="2 criteria are given"):
        spec_of("voting,patience")


@pytest.mark.parametrize(
    ("wrong", "meant"), [("votin", "voting"), ("Patience", "patience"), ("softvoting", "soft_voting")]
)
def test_a_name_that_is_misspelt_is_answered_by_the_closest(wrong, meant):
    with pytest.raises(OptionError, match=rf"no criterion '{wrong}'[\s\S]*did you mean {meant}\?[\s\S]*my_module"):
        spec_of(wrong)


def test_what_is_no_criterion_is_refused():
    with pytest.raises(OptionError, match=r"0\.5 is no criterion[\s\S]*voting"):
        spec_of(0.5)
