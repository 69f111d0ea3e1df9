"""Thresholds that separate scores, and leave outcomes as they are."""

import math
from decimal import Decimal

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ee_lightning.exits import Replay
from ee_lightning.functional import operating_points, separators, shortest_decimals

NEVER = -math.inf
ANY = st.floats(max_value=2.0**100, min_value=-(2.0**100), allow_nan=False, width=32)
COARSE = st.integers(-4000, 4000).map(lambda number: number / 100)
"""Scores whose neighbours are apart by more than a relative 1e-4."""


def replays(score):
    """Draw what a criterion says: scores [exits, samples] with ties, labels of that shape, fallback [samples]."""

    @st.composite
    def draw_one(draw):
        num_exits, num_samples = draw(st.integers(1, 5)), draw(st.integers(1, 8))
        pool = st.sampled_from([*draw(st.lists(score, min_size=1, max_size=6)), NEVER])
        cells = {"min_size": num_exits * num_samples, "max_size": num_exits * num_samples}
        scores = torch.tensor(draw(st.lists(pool, **cells))).view(num_exits, num_samples)
        labels = torch.tensor(draw(st.lists(st.integers(0, 2), **cells))).view(num_exits, num_samples)
        return Replay(scores, labels, labels[-1])

    return draw_one()


def attained_by(replay):
    counts = lambda predictions, samples: predictions.unsqueeze(-1)  # noqa: E731
    return operating_points(replay.scores, replay.labels, replay.fallback, counts).attained


def outcomes(replay, thresholds):
    return [[part.tolist() for part in replay.at(threshold)] for threshold in thresholds.tolist()]


@settings(deadline=None, max_examples=50)
@given(replay=replays(ANY))
def test_a_written_threshold_does_what_the_attained_score_does(replay):
    attained = attained_by(replay)
    written = torch.tensor([float(str(threshold)) for threshold in separators(attained).tolist()]).double()
    assert outcomes(replay, written) == outcomes(replay, attained)


@settings(deadline=None, max_examples=50)
@given(replay=replays(COARSE), data=st.data())
def test_a_written_threshold_bears_another_rounding_of_the_scores(replay, data):
    off = data.draw(st.lists(st.sampled_from([-1e-6, 0.0, 1e-6]), min_size=replay.scores.numel(), max_size=99))
    factors = 1 + torch.tensor(off).double()[: replay.scores.numel()].view_as(replay.scores)
    elsewhere = Replay((replay.scores.double() * factors).float(), replay.labels, replay.fallback)
    attained = attained_by(replay)
    assert outcomes(elsewhere, separators(attained)) == outcomes(replay, attained)


def test_a_tie_at_the_attained_score_itself_would_flip():
    votes = 4 / torch.tensor(5.0**0.75)  # 4 of 5 votes, in float32
    elsewhere = torch.full((2, 3), math.nextafter(votes.item(), 0.0)).float()
    elsewhere = torch.minimum(elsewhere, torch.nextafter(votes, torch.tensor(0.0)))
    replay = Replay(elsewhere, torch.zeros(2, 3).long(), torch.zeros(3).long())
    attained = torch.tensor([torch.inf, votes, 1.0])
    assert replay.at(attained[1].item())[0].tolist() == [2, 2, 2]
    assert separators(attained)[1] == 1.1
    assert replay.at(1.1)[0].tolist() == [1, 1, 1]


@settings(deadline=None, max_examples=100)
@given(numbers=st.lists(st.floats(-1e9, 1e9, width=32), min_size=2, max_size=8, unique=True))
def test_no_shorter_decimal_lies_in_the_middle_half(numbers):
    ascending = torch.tensor(sorted(numbers)).double()
    assume((ascending.diff() > 1e-3).all())
    low, high = ascending[:-1], ascending[1:]
    for below, above, found in zip(low.tolist(), high.tolist(), shortest_decimals(low, high).tolist(), strict=True):
        quarter = (above - below) / 4
        assert below + quarter <= found <= above - quarter
        decimals = -Decimal(str(found)).normalize().as_tuple().exponent
        coarser = Decimal(below + 2 * quarter).scaleb(decimals - 1).to_integral_value().scaleb(1 - decimals)
        assert found == 0 or not below + quarter < coarser < above - quarter


def test_zero_is_the_shortest_where_it_is_in_the_middle_half():
    assert shortest_decimals(torch.tensor([-198382304.0]), torch.tensor([98372048.0])).tolist() == [0]


def test_neighbouring_numbers_are_told_apart():
    one = torch.ones((), dtype=torch.float64)
    above = torch.nextafter(one, 2 * one)
    assert shortest_decimals(one.view(1), above.view(1)).item() == above
    single = torch.nextafter(torch.ones(()), torch.tensor(2.0)).double()
    assert one < shortest_decimals(one.view(1), single.view(1)).item() < single


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([], []), ([1.0], [0.5]), ([0.0], [-0.5]), ([2.0, 1.0, 0.0], [1.5, 0.5, -1.0]), ([0.9, 0.6], [0.8, 0.3])],
)
def test_the_extreme_points_let_nobody_leave_and_everybody(scores, expected):
    assert separators(torch.tensor([torch.inf, *scores])).tolist() == pytest.approx([math.inf, *expected])


def test_a_hundred_thousand_are_a_matter_of_a_second():
    attained = torch.cat([torch.tensor([torch.inf]), torch.rand(100_000).unique().flip(0)]).double()
    written = separators(attained)
    assert (written[1:] <= attained[1:]).all()
    assert (written[1:-1] > attained[2:]).all()
    assert max(len(str(threshold)) for threshold in written[1:].tolist()) <= 10
