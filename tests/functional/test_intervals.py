"""Intervals of shares, by how often they hold what they are of: computed exactly, from all that may be drawn."""

import pytest
from scipy import stats

from ee_lightning.functional import paired_difference_interval, share_interval


@pytest.mark.parametrize("samples", [50, 400])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 0.999])
def test_an_interval_of_a_share_holds_it_at_least_as_often_as_it_says(samples, share):
    intervals = [share_interval(successes, samples, 0.95) for successes in range(samples + 1)]
    held = sum(
        stats.binom.pmf(successes, samples, share)
        for successes, (low, high) in enumerate(intervals)
        if low <= share <= high
    )
    assert held >= 0.95
    assert all(low <= successes / samples <= high for successes, (low, high) in enumerate(intervals))


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(0.0, 0.0), (0.01, 0.0), (0.02, 0.01), (0.05, 0.05), (0.3, 0.1)]
)
def test_an_interval_of_a_difference_holds_it_about_as_often_as_it_says(only_first, only_second):
    samples, held = 50, 0.0
    for first in range(samples + 1):
        of_first = stats.binom.pmf(first, samples, only_first)
        for second in range(samples - first + 1):
            low, high = paired_difference_interval(first, second, samples, 0.95)
            if low <= only_first - only_second <= high:
                held += of_first * stats.binom.pmf(second, samples - first, only_second / (1 - only_first))
    assert held >= 0.94


def test_intervals_shrink_and_hold_what_was_seen():
    for first, second, samples in ((0, 0, 20), (20, 0, 20), (3, 1, 400), (0, 7, 400)):
        low, high = paired_difference_interval(first, second, samples, 0.95)
        assert -1 <= low <= (first - second) / samples <= high <= 1
    widths = [high - low for low, high in (share_interval(n // 2, n, 0.95) for n in (50, 5000))]
    assert widths[0] == pytest.approx(10 * widths[1], rel=0.1)
