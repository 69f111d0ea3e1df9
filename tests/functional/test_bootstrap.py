import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import percentile_interval, resample


@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=20), seed=st.integers(0, 2**32)
)
@settings(deadline=None)
def test_resamples_hold_as_many_samples_as_the_data_and_no_others(rows, seed):
    drawn = resample(torch.tensor(rows), resamples=5, seed=seed)
    assert dict(zip(map(tuple, drawn.outcomes.tolist()), drawn.counts.tolist(), strict=True)) == Counter(rows)
    assert drawn.draws.shape == (5, len(set(rows)))
    assert drawn.draws.sum(1).tolist() == [len(rows)] * 5
    assert (drawn.draws >= 0).all()


def test_resamples_hang_on_the_seed_alone():
    outcomes = torch.arange(10).unsqueeze(-1)
    assert torch.equal(resample(outcomes, 3, seed=1).draws, resample(outcomes, 3, seed=1).draws)
    assert not torch.equal(resample(outcomes, 3, seed=1).draws, resample(outcomes, 3, seed=2).draws)


@pytest.mark.parametrize(("right", "samples"), [(30, 40), (1, 50), (450, 500)])
def test_interval_of_a_share_is_that_of_the_binomial_distribution(right, samples):
    outcomes = (torch.arange(samples) < right).long().unsqueeze(-1)
    drawn = resample(outcomes, resamples=20_000, seed=0)
    low, high = percentile_interval((drawn.draws * drawn.outcomes.squeeze(-1)).sum(1), 0.9)
    assert low == pytest.approx(binomial_quantile(samples, right / samples, 0.05), abs=1)
    assert high == pytest.approx(binomial_quantile(samples, right / samples, 0.95), abs=1)


def binomial_quantile(trials, probability, level):
    """Add up until the level is reached."""
    reached = 0.0
    for successes in range(trials + 1):
        reached += math.comb(trials, successes) * probability**successes * (1 - probability) ** (trials - successes)
        if reached >= level:
            return successes
    raise AssertionError


def test_moments_of_the_draws_are_multinomial():
    outcomes = torch.tensor([0, 0, 0, 1, 1, 2]).unsqueeze(-1)
    draws = resample(outcomes, resamples=50_000, seed=0).draws.double()  # [resamples, distinct]
    shares = torch.tensor([3, 2, 1], dtype=torch.float64) / 6
    covariance = 6 * (shares.diag() - shares.outer(shares))
    assert draws.mean(0).tolist() == pytest.approx((6 * shares).tolist(), abs=0.03)
    assert torch.allclose(draws.T.cov(), covariance, atol=0.03)


def test_interval_leaves_the_same_share_out_on_both_sides():
    low, high = percentile_interval(torch.randperm(1001).float(), 0.8)
    assert (low, high) == pytest.approx((100, 900))
