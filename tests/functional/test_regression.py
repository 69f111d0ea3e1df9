import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import pearson_corrcoef

from ee_lightning.functional import label_moments, pearson, regression_moments

values = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=20)


def scored(predictions, labels):
    return pearson(regression_moments(predictions, labels).sum(-2), label_moments(labels).sum(-2))


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32), samples=st.integers(2, 30), mix=st.floats(-1, 1))
def test_pearson_equals_torchmetrics(seed, samples, mix):
    generator = torch.Generator().manual_seed(seed)
    labels, noise = torch.randn(2, samples, generator=generator, dtype=torch.float64)
    predictions = mix * labels + noise
    assert scored(predictions, labels).item() == pytest.approx(pearson_corrcoef(predictions, labels).item(), abs=1e-6)


@pytest.mark.parametrize(("factor", "expected"), [(2.0, 1), (-0.5, -1), (1e-6, 1)])
def test_values_on_a_line_reach_the_bounds(factor, expected):
    labels = torch.tensor([0.0, 1.0, 2.5, 4.0], dtype=torch.float64)
    score = scored(factor * labels + 3 * factor, labels).item()
    assert score == pytest.approx(expected, abs=1e-9)
    assert abs(score) <= 1


@settings(deadline=None, max_examples=100)
@given(drawn=values, constant=st.floats(-100, 100, width=32))
def test_a_constant_has_no_correlation(drawn, constant):
    drawn = torch.tensor(drawn)
    assert scored(torch.full_like(drawn, constant), drawn).item() == 0
    assert scored(drawn, torch.full_like(drawn, constant)).item() == 0


def test_one_sample_has_no_correlation():
    assert scored(torch.tensor([2.0]), torch.tensor([3.0])).item() == 0


def test_a_whole_curve_is_scored_at_once():
    generator = torch.Generator().manual_seed(0)
    labels, predictions = torch.randn(30, generator=generator), torch.randn(4, 30, generator=generator)
    together = scored(predictions, labels.expand(4, -1)[0])
    assert together.tolist() == [scored(row, labels).item() for row in predictions]
    assert together.dtype == torch.float64
