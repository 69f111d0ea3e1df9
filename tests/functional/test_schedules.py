"""Families of thresholds against naive searches and closed forms."""

import numpy as np
import pytest

from ee_lightning.functional.schedules import FAMILIES, Calibration, fit_schedule
from ee_lightning.functional.schedules.free import ascend
from ee_lightning.functional.schedules.paths import NormalScale, nested
from ee_lightning.functional.schedules.shares import shares

MEMBERS = {name: fit for family in FAMILIES.values() for name, fit in family.items()}


def random_rows(num_rows, num_exits=5, seed=0, *, tied=False):
    generator = np.random.default_rng(seed)
    hard = generator.normal(size=num_rows)
    scores = hard + generator.normal(size=(num_exits, num_rows)) * 0.7
    right = scores + 0.3 * np.arange(num_exits)[:, None] + generator.normal(size=scores.shape) > 0
    scores = scores.round() if tied else scores
    return Calibration(scores[:-1], right.astype(float), np.arange(1, num_exits + 1) / num_exits)


def walk(rows, thresholds):
    """Let each row leave where it does, one by one; return the cost, and the rows that are right."""
    costs, right = [], []
    for row in range(rows.num_rows):
        leaves = [m for m, threshold in enumerate(thresholds) if rows.scores[m, row] >= threshold]
        exit_index = leaves[0] if leaves else len(thresholds)
        costs.append(rows.costs[exit_index])
        right.append(rows.right[exit_index, row])
    return np.mean(costs), np.mean(right)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("tied", [False, True])
def test_a_path_never_falls_and_costs_what_a_walk_says(name, tied):
    rows = random_rows(80, tied=tied)
    path = MEMBERS[name](rows)
    assert (path[1:] >= path[:-1]).all()
    cost, right = rows.outcome(path)
    assert (np.diff(cost) >= -1e-12).all()
    for level in range(0, len(path), 7):
        assert (cost[level], right[level]) == pytest.approx(walk(rows, path[level]))


@pytest.mark.parametrize("strength", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_coordinate_ascent_ends_where_a_naive_one_finds_nothing_better(seed, strength):
    rows, price, target = random_rows(60, seed=seed), 0.4, np.array([1.0, 0.7, 0.3, 0.0])

    def worth(thresholds):
        cost, right = walk(rows, thresholds)
        return right - price * cost - strength * ((thresholds - target) ** 2).sum()

    found = ascend(rows.scores, rows.values(price), target, strength)
    assert worth(found) >= worth(target)
    for m in range(4):
        ordered = np.sort(rows.scores[m])
        for place in [ordered[0] - 0.1, *(ordered[1:] + ordered[:-1]) / 2, ordered[-1] + 0.1]:
            other = found.copy()
            other[m] = place
            assert worth(found) >= worth(other) - 2e-3  # less than a row; a threshold keeps away from scores


def test_shares_are_those_of_the_ratio():
    rows = random_rows(1000, num_exits=3)
    path = shares(rows)
    level = len(path) // 2
    leaves = rows.scores >= path[level][:, None]
    first, second = leaves[0].sum(), (leaves[1] & ~leaves[0]).sum()
    last = 1000 - first - second
    assert second / first == pytest.approx(last / second, rel=0.05)


def test_a_scale_is_normal_and_goes_back():
    scores = np.random.default_rng(0).exponential(size=(4, 500))
    scale = NormalScale.of(scores)
    normal = scale.to_normal(scores)
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=0.03)
    assert scale.to_scores(normal) == pytest.approx(scores)
    assert scale.to_scores(np.array([99.0, -99.0])).tolist() == [np.inf, -np.inf]


def test_a_line_is_found_where_late_exits_are_no_better():
    generator = np.random.default_rng(1)
    sure = generator.normal(size=2000)
    scores = np.stack([sure + 0.3 * generator.normal(size=2000) for _ in range(7)])
    right = np.stack([generator.random(2000) < 1 / (1 + np.exp(-2 * sure - 1.5 * min(m, 2))) for m in range(8)])
    rows = Calibration(scores, right.astype(float), np.arange(1, 9) / 8)
    found = fit_schedule(rows)
    assert found.member in ("line", "parabola", "free(0.1)", "free(0.01)")
    assert found.scores[found.member] == max(found.scores.values())
    middle = found.thresholds[len(found.thresholds) // 2]
    assert middle[0] > middle[-1]


def test_below_twenty_rows_there_is_one_threshold():
    found = fit_schedule(random_rows(19))
    assert found.member == "equal"
    for level in found.thresholds[:-1]:
        assert len({*level.tolist()}) == 1


def test_a_family_of_many_numbers_has_to_be_better_by_more_than_noise():
    declined = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        scores = generator.normal(size=(4, 60))
        right = scores[[0, 1, 2, 3, 3]] + generator.normal(size=(5, 60)) > 0  # no exit deserves its own threshold
        found = fit_schedule(Calibration(scores, right.astype(float), np.arange(1, 6) / 5))
        best = max(found.scores, key=lambda name: found.scores[name])
        declined += best.startswith(("shares", "free")) and found.member in ("equal", "line", "parabola")
    assert declined == 2


def test_nested_keeps_what_rises():
    assert nested(np.array([[1.0, 3.0], [2.0, 1.0], [0.0, 4.0]])).tolist() == [[1, 3], [2, 3], [2, 4]]
