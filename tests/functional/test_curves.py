import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import area, operating_points, score_at, telling_points

NEVER = -math.inf


@st.composite
def decisions(draw):
    """Draw scores [exits, samples] with many ties, labels of that shape, and fallback [samples]."""
    num_exits, num_samples = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    score = draw(
        st.sampled_from(
            [
                st.sampled_from([NEVER, -0.0, 0.0, 0.5, 1.0]),
                st.floats(max_value=2.0**100, allow_nan=False, width=32),
                st.just(0.25),
                st.just(NEVER),
            ]
        )
    )
    cells = {"min_size": num_exits * num_samples, "max_size": num_exits * num_samples}
    scores = torch.tensor(draw(st.lists(score, **cells))).view(num_exits, num_samples)
    labels = torch.tensor(draw(st.lists(st.integers(0, 2), **cells))).view(num_exits, num_samples)
    fallback = torch.tensor(draw(st.lists(st.integers(0, 2), min_size=num_samples, max_size=num_samples)))
    return scores, labels, fallback


def predictions_per_class(predictions, samples):
    """Count each class, and the sample's index so that predictions of other samples don't pass for its own."""
    return torch.stack([(samples + 1) * (predictions == c) for c in range(3)], dim=-1)


def brute_force(scores, labels, fallback, threshold):
    """Let each sample walk through the exits."""
    layers, counts = 0, [0, 0, 0]
    for i in range(scores.shape[1]):
        exit_layer, label = len(scores), fallback[i]
        for m in range(len(scores)):
            if scores[m, i] >= threshold:
                exit_layer, label = m + 1, labels[m, i]
                break
        layers += exit_layer
        counts[label] += i + 1
    return layers / scores.shape[1], counts


@settings(deadline=None, max_examples=200)
@given(data=decisions())
def test_curve_equals_brute_force_at_every_distinct_threshold(data):
    scores, labels, fallback = data
    points = operating_points(scores, labels, fallback, predictions_per_class)
    thresholds = points.attained.tolist()

    assert thresholds[0] == math.inf
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert set(thresholds[1:]) <= set(scores.double().flatten().tolist()) - {NEVER}
    assert points.attained.dtype == points.mean_exit.dtype == torch.float64
    assert points.counts.dtype == torch.int64

    for tau in {*scores.flatten().tolist(), math.inf} - {NEVER}:
        at = max(index for index, threshold in enumerate(thresholds) if threshold >= tau)
        mean_exit, counts = brute_force(scores, labels, fallback, tau)
        assert (points.mean_exit[at].item(), points.counts[at].tolist()) == (mean_exit, counts)


@settings(deadline=None)
@given(data=decisions())
def test_curve_runs_from_all_layers_downwards(data):
    points = operating_points(*data, predictions_per_class)
    assert points.mean_exit[0] == len(data[0])
    assert (points.mean_exit.diff() <= 0).all()
    if data[0][0].isfinite().all():
        assert points.mean_exit[-1] == 1


def test_only_rises_of_the_running_maximum_make_points():
    scores = torch.tensor([[0.2], [0.1], [0.5], [0.5], [0.4]])
    points = operating_points(scores, torch.tensor([[0], [1], [2], [1], [1]]), torch.tensor([1]), predictions_per_class)
    assert points.attained.float().tolist() == pytest.approx([math.inf, 0.5, 0.2])
    assert points.mean_exit.tolist() == [5, 3, 1]
    assert points.counts.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_an_attained_score_is_exact_so_that_a_neighbouring_number_changes_the_outcome():
    score = torch.tensor([[0.1]])
    tau = operating_points(score, torch.tensor([[0]]), torch.tensor([1]), predictions_per_class).attained[1].item()
    above = torch.nextafter(torch.tensor(tau), torch.tensor(1.0)).item()
    assert (score >= tau).all()
    assert not (score >= above).any()


def test_memory_stays_near_that_of_the_events():
    seen = []

    def count(predictions, samples):
        seen.append(len(predictions))
        return predictions_per_class(predictions, samples)

    scores = torch.rand(12, 50, generator=torch.Generator().manual_seed(0)).sort(0, descending=True).values
    operating_points(scores, torch.zeros(12, 50, dtype=torch.int64), torch.zeros(50, dtype=torch.int64), count)
    assert max(seen) == 50


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.tensor([[0.1, 0.2], [0.3, math.nan]]), "got nan at exit 2 for the sample at index 1"),
        (torch.tensor([[math.inf, 0.2]]), "got inf at exit 1 for the sample at index 0"),
        (torch.zeros(2, 0), r"to hold a score, but got shape \[2, 0\]"),
        (torch.zeros(0, 2), r"to hold a score, but got shape \[0, 2\]"),
    ],
)
def test_scores_that_make_no_curve_are_refused(scores, message):
    labels = torch.zeros(scores.shape, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        operating_points(scores, labels, torch.zeros(scores.shape[1], dtype=torch.int64), predictions_per_class)


@st.composite
def curves(draw):
    """Draw mean exits descending from 4, some of them shared, and scores."""
    below = draw(st.lists(st.sampled_from([1.0, 1.3, 2.0, 2.9, 3.5, 4.0]), max_size=8))
    mean_exit = torch.tensor([4.0, *sorted(below, reverse=True)], dtype=torch.float64)
    unit = st.floats(0, 1)
    return mean_exit, torch.tensor(
        draw(st.lists(unit, min_size=len(mean_exit), max_size=len(mean_exit))), dtype=torch.float64
    )


@settings(deadline=None)
@given(curve=curves())
def test_score_at_an_operating_point_is_that_of_the_first_point_with_its_mean_exit(curve):
    mean_exit, score = curve
    for depth in mean_exit.tolist():
        first = mean_exit.tolist().index(depth)
        assert score_at(mean_exit, score, depth) == score[first].item()


@settings(deadline=None)
@given(curve=curves(), share=st.floats(0, 1))
def test_score_between_two_points_is_that_of_drawing_a_threshold_for_each_sample(curve, share):
    mean_exit, score = curve
    knots = {}
    for depth, height in zip(mean_exit.tolist(), score.tolist(), strict=True):
        knots.setdefault(depth, height)
    for (slow, at_slow), (fast, at_fast) in itertools.pairwise(knots.items()):
        drawn = share * slow + (1 - share) * fast
        expected = share * at_slow + (1 - share) * at_fast
        assert score_at(mean_exit, score, drawn) == pytest.approx(expected, abs=1e-9)


def test_score_beyond_the_ends_is_nan_but_rounding_is_forgiven():
    mean_exit, score = torch.tensor([3.0, 1.7], dtype=torch.float64), torch.tensor([0.9, 0.5], dtype=torch.float64)
    assert math.isnan(score_at(mean_exit, score, 3.01))
    assert math.isnan(score_at(mean_exit, score, 1.69))
    assert score_at(mean_exit, score, 1.7 - 1e-12) == 0.5
    assert score_at(mean_exit, score, 3.0 + 1e-12) == 0.9


FIXED = torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=torch.float64), torch.tensor([0.9, 0.7, 0.8, 0.5], dtype=torch.float64)


@settings(deadline=None)
@given(curve=curves())
def test_area_is_the_mean_of_the_score_over_all_costs(curve):
    mean_exit, score = curve
    fastest = mean_exit.min().item()
    depths = torch.linspace(1, 4, 31, dtype=torch.float64).tolist()  # every mean exit of the strategy is among them

    def mean_over(costs, *of):
        heights = [score_at(*of, cost) for cost in costs]
        return sum((left + right) / 2 for left, right in itertools.pairwise(heights)) / 30

    reached = mean_over([depth for depth in depths if depth >= fastest - 1e-9], mean_exit, score)
    beyond = mean_over([depth for depth in depths if depth <= fastest + 1e-9], *FIXED)
    assert area(mean_exit, score, *FIXED) == pytest.approx(reached + beyond, abs=1e-9)


def test_area_of_the_fixed_exits_is_that_of_whoever_cannot_leave_early():
    alone = area(*FIXED, *FIXED)
    assert area(torch.tensor([4.0]), torch.tensor([0.9]), *FIXED) == pytest.approx(alone)
    assert alone == pytest.approx((0.8 + 0.75 + 0.65) / 3)


def test_a_criterion_that_cannot_leave_early_is_not_ahead_of_one_that_can():
    slow = torch.tensor([4.0, 3.5]), torch.tensor([0.9, 0.9])
    fast = torch.tensor([4.0, 3.5, 2.0, 1.0]), torch.tensor([0.9, 0.9, 0.85, 0.5])
    assert area(*slow, *FIXED) < area(*fast, *FIXED)


def test_area_of_a_constant_is_that_constant():
    twelve = torch.tensor([12.0, 7.0, 1.0]), torch.full((3,), 0.5)
    assert area(*twelve, *twelve) == pytest.approx(0.5)


def test_area_with_one_exit_is_the_first_score():
    one = torch.tensor([1.0]), torch.tensor([0.75])
    assert area(torch.tensor([1.0, 1.0]), torch.tensor([0.75, 0.25]), *one) == 0.75


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), num_points=st.integers(1, 5000))
def test_points_that_are_left_out_are_within_a_thousandth_of_slower_ones_and_neither_best_nor_worst(seed, num_points):
    generator = torch.Generator().manual_seed(seed)
    mean_exit = 1 + 11 * torch.rand(num_points, generator=generator, dtype=torch.float64).sort(descending=True).values
    scores = [torch.randint(100, (num_points,), generator=generator) / 100 for _ in range(2)]
    kept = telling_points(mean_exit, scores)
    assert (kept.diff() > 0).all()
    assert kept[0] == 0
    assert kept[-1] == num_points - 1
    assert len(kept) <= 1 + 1001 * 5
    share = (mean_exit * (1000 / mean_exit[0])).floor()
    for each in share.unique():
        here, told = (share == each).nonzero().squeeze(1), kept[share[kept] == each]
        assert told[0] == here[0]
        for score in scores:
            assert (score[told].max(), score[told].min()) == (score[here].max(), score[here].min())
    assert telling_points(mean_exit[kept], [score[kept] for score in scores]).tolist() == [*range(len(kept))]
