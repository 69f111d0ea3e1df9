import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from ee_lightning.functional import fit_temperatures


def likely(num_exits, num_samples, num_classes, seed):
    """Draw logits, and labels that somewhat follow them."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(num_exits, num_samples, num_classes, generator=generator)
    labels = torch.multinomial(logits.mean(0).softmax(-1), 1, generator=generator).squeeze(-1)
    return logits, labels


def negative_log_likelihood(logits, labels, temperature):
    return cross_entropy(logits.double() / temperature, labels).item()


@settings(deadline=None, max_examples=40)
@given(
    num_exits=st.integers(1, 4), num_samples=st.integers(1, 30), num_classes=st.integers(2, 5), seed=st.integers(0, 999)
)
def test_no_temperature_of_a_grid_is_likelier(num_exits, num_samples, num_classes, seed):
    logits, labels = likely(num_exits, num_samples, num_classes, seed)
    temperatures = fit_temperatures(logits, labels)
    assert temperatures.shape == (num_exits,)
    for m, temperature in enumerate(temperatures.tolist()):
        fitted = negative_log_likelihood(logits[m], labels, temperature)
        for tried in torch.logspace(math.log10(0.05), math.log10(20), 200, dtype=torch.float64).tolist():
            assert fitted <= negative_log_likelihood(logits[m], labels, tried) + 1e-9


def test_gradient_descent_finds_the_same_temperatures():
    precise = {"max_iter": 100, "tolerance_grad": 1e-12, "tolerance_change": 1e-16}
    logits, labels = likely(3, 400, 4, seed=1)
    for m, temperature in enumerate(fit_temperatures(logits, labels).tolist()):
        inverse = torch.ones((), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([inverse], line_search_fn="strong_wolfe", **precise)

        def closure(m=m, inverse=inverse, optimizer=optimizer):
            optimizer.zero_grad()
            loss = cross_entropy(logits[m].double() * inverse, labels)
            loss.backward()
            return loss

        optimizer.step(closure)
        assert temperature == pytest.approx(1 / inverse.item(), rel=1e-6)


@pytest.mark.parametrize("share", [0.6, 0.75, 0.99])
def test_two_equal_answers_have_a_closed_form(share):
    right = round(100 * share)
    logits = torch.tensor([[4.0, 0.0]]).expand(1, 100, 2)
    labels = torch.tensor([0] * right + [1] * (100 - right))
    expected = 4 / math.log(share / (1 - share))  # at which the probability is the share
    assert fit_temperatures(logits, labels).item() == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_scaling_the_logits_scales_the_temperature_within_its_bounds(scale):
    logits, labels = likely(2, 200, 3, seed=2)
    expected = (fit_temperatures(logits, labels) * scale).clamp(0.05, 20)
    torch.testing.assert_close(fit_temperatures(logits * scale, labels), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("size", [0.1, 1.0, 1e4, 1e38])
def test_an_exit_that_is_always_right_gets_the_lowest_and_one_always_wrong_the_highest(size):
    logits = torch.tensor([[[size, 0.0], [0.0, size]], [[0.0, size], [size, 0.0]]])
    assert fit_temperatures(logits, torch.tensor([0, 1])).tolist() == pytest.approx([0.05, 20])


@pytest.mark.parametrize("value", [0.0, 7.3, -1e30])
def test_equal_logits_are_left_as_they_are(value):
    assert fit_temperatures(torch.full((2, 5, 3), value), torch.tensor([0, 1, 2, 0, 0])).tolist() == [1, 1]


def test_exits_are_fitted_apart():
    logits, labels = likely(3, 50, 3, seed=3)
    together = fit_temperatures(logits, labels)
    apart = torch.cat([fit_temperatures(one.unsqueeze(0), labels) for one in logits])
    torch.testing.assert_close(together, apart)
