import math

import pytest
import torch
from factories import exits_of_probabilities, exits_predicting, random_exits

from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, SoftVoting, Voting, replay


@pytest.mark.parametrize("k", [0, 0.5, 1, 2])
def test_score_is_the_largest_sum_of_probabilities_over_a_power_of_the_exits(k):
    exits = random_exits(5, 30, 4)
    summed = exits.logits.double().softmax(-1).cumsum(0)  # [exits, samples, classes]
    replayed = replay(SoftVoting(k), exits)
    bar = torch.arange(1, 6).double().pow(k).view(-1, 1)
    torch.testing.assert_close(replayed.scores.double(), summed.amax(-1) / bar, atol=1e-6, rtol=1e-5)
    assert torch.equal(replayed.labels, summed.argmax(-1))


def test_one_unsure_exit_does_not_outvote_a_sure_one():
    exits = exits_of_probabilities([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    assert replay(SoftVoting(), exits).at(math.inf)[1].item() == 0
    assert replay(Voting(k=1, fallback="majority"), exits).at(math.inf)[1].item() == 1


def test_at_full_depth_the_exits_predict_together():
    exits = random_exits(5, 50, 3)
    replayed = replay(SoftVoting(), exits)
    assert torch.equal(replayed.fallback, replayed.labels[-1])
    assert not torch.equal(replayed.fallback, exits.logits[-1].argmax(-1))


def test_after_the_first_exit_it_is_the_confidence():
    exits = random_exits(1, 20, 3)
    assert torch.equal(replay(SoftVoting(), exits).scores, replay(Confidence(), exits).scores)


def test_sure_exits_vote_as_hard_votes_do():
    exits = exits_predicting([[0, 1], [0, 2], [1, 2], [0, 2]])
    hard = replay(Voting(k=0.5), exits)
    soft = replay(SoftVoting(k=0.5), type(exits)(exits.logits * 1000, None, exits.ids))
    torch.testing.assert_close(soft.scores, hard.scores)


@pytest.mark.parametrize("k", [-0.1, math.nan, math.inf])
def test_an_exponent_without_sense_is_refused(k):
    with pytest.raises(OptionError, match=r"(?s)SoftVoting got k=.*SoftVoting.k"):
        SoftVoting(k)


def test_name_tells_options_that_differ_from_the_default():
    assert SoftVoting().name == "soft_voting"
    assert SoftVoting(0.75).name == "soft_voting(k=0.75)"
