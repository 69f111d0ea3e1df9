"""One threshold for all exits, or one for each."""

import math

import pytest
import torch
from factories import exits_of
from hypothesis import given
from hypothesis import strategies as st

from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, Voting, as_threshold, at_exits, replay
from ee_lightning.exits.threshold import from_numbers, in_numbers

numbers = st.floats(allow_nan=False)


@pytest.mark.parametrize("criterion", [Confidence(), Voting(k=0.5, fallback="majority")], ids=lambda each: each.name)
@pytest.mark.parametrize("thresholds", [(0.9, 0.8, 0.7, 0.6), (math.inf, 1.2, 0.9, math.inf), (-math.inf, 1, 1, 1)])
def test_a_sample_leaves_at_the_first_exit_whose_own_threshold_it_reaches(criterion, thresholds):
    exits = exits_of(50)
    found = replay(criterion, exits)
    for sample, (exit_layer, label) in enumerate(zip(*found.at(thresholds), strict=True)):
        scores = found.scores[:, sample].tolist()
        reached = [m for m in range(4) if scores[m] >= thresholds[m]]
        expected = found.labels[reached[0], sample] if reached else found.fallback[sample]
        assert (exit_layer, label) == (reached[0] + 1 if reached else 4, expected)


def test_equal_thresholds_are_one_threshold():
    found = replay(Confidence(), exits_of(50))
    assert all(map(torch.equal, found.at((0.75,) * 4), found.at(0.75)))


@pytest.mark.parametrize("given", [math.nan, [0.9, math.nan], []])
def test_what_is_no_threshold_is_refused(given):
    with pytest.raises(OptionError, match=r"no number|no threshold"):
        as_threshold(given)


def test_thresholds_of_another_number_of_exits_are_refused():
    with pytest.raises(OptionError, match=r"2 thresholds for 4 exits[\s\S]*one for each"):
        at_exits((0.9, 0.8), 4)


@given(numbers | st.lists(numbers, min_size=2).map(tuple))
def test_its_text_reads_back(threshold):
    assert from_numbers(in_numbers(threshold)) == threshold
