"""Exits after some layers only: where they may stand, and what stored exits say of fewer."""

import pytest
import torch
from factories import random_exits, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, Voting, replay, trace_curve
from ee_lightning.exits.placement import numbers_of, placed

LAYERS = st.sets(st.integers(1, 15), min_size=1, max_size=6).map(sorted)


@given(layers=LAYERS)
def test_layers_that_ascend_to_the_last_are_placed_as_they_are(layers):
    assert placed(layers, layers[-1], "exits") == tuple(layers)
    assert placed("every", layers[-1], "exits") == tuple(range(1, layers[-1] + 1))
    assert placed("last", layers[-1], "exits") == (layers[-1],)


@given(layers=LAYERS, data=st.data())
def test_those_asked_are_found_by_their_layers(layers, data):
    asked = [*sorted(data.draw(st.sets(st.sampled_from(layers)))), layers[-1]]
    asked = sorted(set(asked))
    assert [layers[number - 1] for number in numbers_of(asked, tuple(layers), "exits")] == asked


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ([], "the layers of the exits are none"),
        ([0, 12], "the layers of the exits are 0, 12"),
        ([-3, 12], "are -3, 12"),
        ([6, 3, 12], "are 6, 3, 12"),
        ([6, 6, 12], "are 6, 6, 12"),
        ([6, 13], "after layer 13, and the model has 12 layers"),
        ([6], "no exit stands after the last of the model's 12 layers"),
    ],
)
def test_layers_where_no_exits_can_stand_are_refused(layers, what):
    with pytest.raises(OptionError, match=f"{what}\\n  where: the place\\n  hint: "):
        placed(layers, 12, "the place")


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ([4, 12], "no exit after layer 4\\n.*\\n.*3, 6, 12"),
        ([3, 6], "the last layer, 12, is not asked"),
        ([12, 3], "are 12, 3"),
        ([3, 3, 12], "are 3, 3, 12"),
        ([], "are none"),
    ],
)
def test_exits_that_cannot_be_asked_are_refused(asked, what):
    exits = stored(torch.zeros(3, 1, 2), layers_of_exits=(3, 6, 12))
    with pytest.raises(OptionError, match=what):
        exits.asking(asked)


@pytest.mark.parametrize("layers", [(1, 2), (1, 2, 2), (3, 2, 1), (0, 1, 2)])
def test_layers_that_do_not_suit_the_stored_exits_are_refused(layers):
    with pytest.raises(ValueError, match="layers"):
        stored(torch.zeros(3, 1, 2), layers_of_exits=layers)


def test_without_layers_an_exit_stands_behind_each():
    assert stored(torch.zeros(3, 1, 2)).layers_of_exits == (1, 2, 3)


@settings(deadline=None, max_examples=50)
@given(data=st.data(), seed=st.integers(0, 1000), criterion=st.sampled_from([Voting(), Confidence()]))
def test_a_curve_counts_the_layers_of_the_exits_that_are_asked_alone(data, seed, criterion):
    """Each point of the curve is found again by a walk of every sample through the exits that are asked."""
    layers = data.draw(st.sets(st.integers(1, 12), min_size=2, max_size=5).map(sorted))
    asked = sorted({*data.draw(st.sets(st.sampled_from(layers))), layers[-1]})
    exits = random_exits(len(layers), 7, 3, seed=seed, kind="tied")
    whole = stored(exits.logits, exits.labels, dict(exits.extras), layers_of_exits=tuple(layers))
    some = whole.asking(asked)
    places = [layers.index(layer) for layer in asked]
    assert torch.equal(some.logits, whole.logits[places])
    assert torch.equal(some.extras["gate"], whole.extras["gate"][places])
    scores = replay(criterion, some).scores
    curve = trace_curve(criterion, some, ["accuracy"])
    assert curve.num_layers == layers[-1]
    for threshold, mean_exit in zip(curve.attained.tolist(), curve.mean_exit.tolist(), strict=True):
        run = [
            next((layer for layer, score in zip(asked, row, strict=True) if score >= threshold), layers[-1])
            for row in scores.T.tolist()
        ]
        assert mean_exit == pytest.approx(sum(run) / len(run), abs=1e-12)
        exit_layer, _ = replay(criterion, some).at(threshold)
        assert some.layers_run(exit_layer).tolist() == run
    fastest = layers[-1] / asked[0]
    assert curve.speedup[-1].item() == pytest.approx(fastest)


def test_votes_are_counted_among_those_asked():
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 2.0]], [[2.0, 0.0]], [[2.0, 0.0]]])  # [exits, 1, classes]
    exits = stored(logits, torch.tensor([0]), layers_of_exits=(3, 6, 9, 12))
    assert replay(Voting(k=0), exits).scores.squeeze(1).tolist() == [1, 1, 2, 3]
    assert replay(Voting(k=0), exits.asking([3, 9, 12])).scores.squeeze(1).tolist() == [1, 2, 3]
