import math

import pytest
import torch
from factories import exits_of_probabilities, random_exits

from ee_lightning.errors import OptionError
from ee_lightning.exits import BEEM, replay

PROBABILITIES = [[0.6, 0.4], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.4, 0.6], [0.9, 0.1]]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, [0.6, 1.4, 0.7, 1.6, 2.2, 0.9]),
        ([1, 2, 3, 4, 5, 6], [0.6, 2.2, 2.1, 5.7, 8.7, 5.4]),
        ([0, 0, 0, 0, 0, 0.5], [0, 0, 0, 0, 0, 0.45]),
    ],
)
def test_confidence_gathers_while_the_class_repeats_and_starts_again_where_it_changes(weights, expected):
    replayed = replay(BEEM(weights), exits_of_probabilities(PROBABILITIES))
    assert replayed.scores.squeeze(-1).tolist() == pytest.approx(expected)
    assert replayed.labels.squeeze(-1).tolist() == [0, 0, 1, 1, 1, 0]
    assert replayed.fallback.item() == 0


def test_weights_of_one_are_the_default():
    exits = random_exits(4, 20, 3)
    assert torch.equal(replay(BEEM([1, 1, 1, 1]), exits).scores, replay(BEEM(), exits).scores)


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_a_weight_without_sense_is_refused(weight):
    with pytest.raises(OptionError, match=r"(?s)weights=\[1.0, .*BEEM.weights"):
        BEEM([1.0, weight])


@pytest.mark.parametrize("weights", [[], [0.0, 0.0]])
def test_weights_that_let_no_exit_count_are_refused(weights):
    with pytest.raises(OptionError, match=r"(?s)weights=.*one of them above 0"):
        BEEM(weights)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, 1.0]])
def test_another_number_of_weights_is_refused(weights):
    with pytest.raises(OptionError, match=f"{len(weights)} weights for 2 exits"):
        replay(BEEM(weights), random_exits(2, 3, 2))


def test_name_tells_the_weights():
    assert BEEM().name == "beem"
    assert BEEM([1, 0.5]).name == "beem(weights=[1, 0.5])"
