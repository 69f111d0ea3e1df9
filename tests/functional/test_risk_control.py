import math
from itertools import takewhile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import (
    betting_p_values,
    binomial_p_values,
    fixed_sequence,
    hoeffding_bentkus_p_values,
    kept_in_expectation,
)

DRAWS = 4000
ERROR = 0.1


def tail(samples, risk, failures):
    """Add the probabilities up one by one."""
    return sum(math.comb(samples, k) * risk**k * (1 - risk) ** (samples - k) for k in range(failures + 1))


@given(samples=st.integers(1, 40), risk=st.floats(0, 1), data=st.data())
@settings(deadline=None)
def test_binomial_p_value_is_the_tail_of_the_distribution(samples, risk, data):
    failures = data.draw(st.integers(0, samples))
    value = binomial_p_values(torch.tensor(failures), samples, risk)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(tail(samples, risk, failures), rel=1e-9, abs=1e-12)


def test_binomial_p_value_of_many_samples_keeps_its_precision():
    samples = 500_001
    assert binomial_p_values(torch.tensor(250_000), samples, 0.5).item() == pytest.approx(0.5, rel=1e-7)
    assert binomial_p_values(torch.tensor(0), samples, 1e-4).item() == pytest.approx(0.9999**samples, rel=1e-6)


def test_nothing_is_proven_of_a_risk_of_zero_and_all_of_a_risk_of_one_unless_all_failed():
    failures = torch.tensor([0, 5, 10])
    assert binomial_p_values(failures, 10, 0.0).tolist() == [1, 1, 1]
    assert binomial_p_values(failures, 10, 1.0).tolist() == [0, 0, 1]
    assert hoeffding_bentkus_p_values(failures, 10, 0.0).tolist() == [1, 1, 1]
    assert hoeffding_bentkus_p_values(failures, 10, 1.0).tolist() == [0, 0, 1]


@pytest.mark.parametrize("p_values", [binomial_p_values, hoeffding_bentkus_p_values])
@pytest.mark.parametrize("risk", [-0.1, 1.1, math.nan])
def test_a_risk_that_is_no_probability_is_refused(p_values, risk):
    with pytest.raises(ValueError, match="`risk` to be between 0 and 1"):
        p_values(torch.tensor([1]), 10, risk)


@given(samples=st.integers(1, 40), risk=st.floats(0.01, 0.99), share=st.floats(0, 1))
@settings(deadline=None)
def test_hoeffding_bentkus_p_value_is_the_smaller_of_two_bounds(samples, risk, share):
    total = share * samples
    mean = min(total / samples, risk)
    divergence = sum(a * math.log(a / b) for a, b in ((mean, risk), (1 - mean, 1 - risk)) if a > 0)
    expected = min(math.exp(-samples * divergence), math.e * tail(samples, risk, math.ceil(total)), 1)
    value = hoeffding_bentkus_p_values(torch.tensor(total, dtype=torch.float64), samples, risk)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("samples", [20, 300])
@pytest.mark.parametrize("risk", [0.05, 0.4])
def test_p_values_are_small_no_more_often_than_they_may(samples, risk):
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(DRAWS, samples, generator=generator, dtype=torch.float64)
    coins = (uniform < risk).double()  # the widest losses of that mean
    spread = risk + (uniform - 0.5) * 2 * min(risk, 1 - risk)  # losses between 0 and 1 of that mean
    allowed = ERROR + 3 * math.sqrt(ERROR * (1 - ERROR) / DRAWS)
    for p_values in (
        binomial_p_values(coins.sum(1).long(), samples, risk),
        hoeffding_bentkus_p_values(coins.sum(1), samples, risk),
        hoeffding_bentkus_p_values(spread.sum(1), samples, risk),
    ):
        assert (p_values <= ERROR).double().mean() <= allowed


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=10), error=st.floats(0, 1))
@settings(deadline=None)
def test_fixed_sequence_stops_at_the_first_failure(p_values, error):
    rejected = fixed_sequence(torch.tensor(p_values, dtype=torch.float64), error).tolist()
    length = len(list(takewhile(lambda value: value <= error, p_values)))
    assert rejected == [index < length for index in range(len(p_values))]


def test_many_true_nulls_are_rarely_rejected_in_sequence_and_mostly_without():
    samples, risk, tests = 200, 0.05, 30
    uniform = torch.rand(DRAWS, tests, samples, generator=torch.Generator().manual_seed(0))
    p_values = binomial_p_values((uniform < risk).sum(-1), samples, risk)  # [draws, tests]
    in_sequence = torch.stack([fixed_sequence(row, ERROR).any() for row in p_values])
    assert in_sequence.double().mean() <= ERROR
    assert (p_values <= ERROR).any(-1).double().mean() > 0.8


@pytest.mark.parametrize("p_values", [binomial_p_values, hoeffding_bentkus_p_values])
@pytest.mark.parametrize(("samples", "risk"), [(300, 0.05), (5000, 0.01), (40_430, 0.3)])
def test_rounding_takes_no_p_value_above_one_and_leaves_one_where_all_failed(p_values, samples, risk):
    values = p_values(torch.arange(samples + 1), samples, risk)
    assert values.max() <= 1
    assert values[-1] == 1


def naive_wealth(losses, risk, error):
    """Bet loss by loss, and return the most that the gambler ever had."""
    wealth = most = 1.0
    for place, loss in enumerate(losses):
        means = [sum(losses[: k + 1]) / (k + 2) for k in range(place)]
        variance = (1 + sum((losses[k] - means[k]) ** 2 for k in range(place))) / (place + 1)
        stake = min(math.sqrt(2 * math.log(1 / error) / (len(losses) * variance)), 0.99 / (1 - risk))
        wealth *= 1 + stake * (risk - loss)
        most = max(most, wealth)
    return most


@given(
    losses=st.lists(st.sampled_from([-1.0, -0.3, 0.0, 0.5, 1.0]), min_size=1, max_size=25), risk=st.floats(-0.5, 0.9)
)
@settings(deadline=None)
def test_betting_p_value_is_one_over_the_most_that_was_won(losses, risk):
    value = betting_p_values(torch.tensor([losses], dtype=torch.float64), risk, error=0.1).item()
    assert value == pytest.approx(1 / naive_wealth(losses, risk, 0.1), rel=1e-9)


@pytest.mark.parametrize(("gained", "spoilt"), [(0.0, 0.02), (0.03, 0.05), (0.2, 0.22)])
def test_betting_p_values_of_a_loss_at_the_boundary_are_small_no_more_often_than_they_may(gained, spoilt):
    uniform = torch.rand(2000, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = (uniform < spoilt).double() - (uniform > 1 - gained).double()
    p_values = betting_p_values(net, spoilt - gained, error=0.05)
    assert (p_values <= 0.05).double().mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 2000)
    assert (betting_p_values(net, spoilt - gained + 0.1, error=0.05) <= 0.05).double().mean() > 0.6, "it has power"


@pytest.mark.parametrize("risk", [-1.0, 1.0, math.nan])
def test_a_signed_risk_out_of_range_is_refused(risk):
    with pytest.raises(ValueError, match="`risk` to be between -1 and 1"):
        betting_p_values(torch.zeros(3), risk, 0.1)


def test_in_expectation_one_more_loss_of_one_must_fit():
    assert kept_in_expectation(torch.tensor([0, 8, 9]), 199, 0.05).tolist() == [True, True, True]
    assert kept_in_expectation(torch.tensor([0, 8, 9]), 198, 0.05).tolist() == [True, True, False]
