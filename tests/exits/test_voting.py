import itertools
import math

import pytest
import torch
from factories import exits_predicting

from ee_lightning.errors import OptionError
from ee_lightning.exits import SoftVoting, Voting, replay

EARLIEST_EXIT = [
    (threshold, dissenting, earliest)
    for threshold, row in {
        1.0: (1, 4, 6),
        1.2: (3, 6, 8),
        1.4: (4, 8, 10),
        1.5: (6, 9, 12),
        1.7: (9, 12, None),
        1.8: (11, None, None),
    }.items()
    for dissenting, earliest in enumerate(row)
]


@pytest.mark.parametrize(("threshold", "dissenting", "earliest"), EARLIEST_EXIT)
def test_earliest_exit_of_a_class_with_few_dissenting_votes(threshold, dissenting, earliest):
    votes = [[0]] * (12 - dissenting)
    votes[1:1] = [[2], [3]][:dissenting]
    replayed = replay(Voting(), exits_predicting(votes))
    score, label = replayed.scores.squeeze(-1).tolist(), replayed.labels.squeeze(-1).tolist()
    crossing = [m for m in range(dissenting + 1, 13) if score[m - 1] >= threshold and label[m - 1] == 0]
    assert (crossing or [None])[0] == earliest
    if threshold > 1:
        exit_layer, prediction = replayed.at(threshold)
        assert (exit_layer.item(), prediction.item()) == (earliest or 12, 0)


@pytest.mark.parametrize("k", [0, 0.5, 0.75, 1, 2])
def test_score_is_votes_over_a_power_of_the_votes_cast(k):
    votes = [0, 1, 1, 0, 2, 1]
    replayed = replay(Voting(k=k), exits_predicting([[vote] for vote in votes]))
    most = [1, 1, 2, 2, 2, 3]
    assert replayed.scores.squeeze(-1).tolist() == pytest.approx([count / m**k for m, count in enumerate(most, 1)])


def test_unanimous_votes_are_a_share_of_exactly_one():
    assert (replay(Voting(k=1), exits_predicting([[1]] * 60)).scores == 1).all()


def test_the_class_just_voted_for_wins_a_tie():
    assert replay(Voting(), exits_predicting([[1], [0], [2], [1], [0]])).labels.squeeze(-1).tolist() == [1, 0, 2, 1, 0]
    assert replay(Voting(), exits_predicting([[0], [0], [1]])).labels.squeeze(-1).tolist() == [0, 0, 0]


@pytest.mark.parametrize("k", [0, 0.75, 1])
def test_whoever_first_crosses_is_the_class_just_voted_for(k):
    sequences = torch.tensor(list(itertools.product(range(3), repeat=5))).T  # [exits, samples]
    replayed = replay(Voting(k=k), exits_predicting(sequences.tolist(), num_classes=3))
    for threshold in replayed.scores.unique().tolist():
        exit_layer, label = replayed.at(threshold)
        crossed = (replayed.scores >= threshold).any(0)
        just_voted = sequences.gather(0, exit_layer.unsqueeze(0) - 1).squeeze(0)
        assert torch.equal(label[crossed], just_voted[crossed])


@pytest.mark.parametrize(
    ("votes", "last", "majority"),
    [([0, 0, 1], 1, 0), ([0, 1, 1], 1, 1), ([1, 0], 0, 0), ([2, 2, 1, 1, 0], 0, 1), ([3], 3, 3)],
)
def test_fallback_is_the_last_vote_or_the_majority(votes, last, majority):
    exits = exits_predicting([[vote] for vote in votes])
    for fallback, expected in (("last", last), ("majority", majority)):
        exit_layer, label = replay(Voting(fallback=fallback), exits).at(math.inf)
        assert (exit_layer.item(), label.item()) == (len(votes), expected)


def test_name_tells_options_that_differ_from_the_default():
    assert Voting().name == "voting"
    assert Voting(k=1).name == "voting(k=1)"
    assert Voting(k=0.5, fallback="majority").name == "voting(k=0.5, fallback=majority)"


@pytest.mark.parametrize("k", [-0.1, math.nan, math.inf, 16.1, 1000])
def test_an_exponent_without_sense_is_refused(k):
    with pytest.raises(OptionError, match="k="):
        Voting(k=k)


@pytest.mark.parametrize("kind", [Voting, SoftVoting])
def test_the_largest_exponent_gives_numbers_still(kind):
    scores = replay(kind(k=16), exits_predicting([[1]] * 255)).scores
    assert scores.isfinite().all()
    assert (scores > 0).all()


def test_an_unknown_fallback_is_refused():
    with pytest.raises(OptionError, match=r"(?s)'first' is not a value of Voting.fallback.*last, majority"):
        Voting(fallback="first")
