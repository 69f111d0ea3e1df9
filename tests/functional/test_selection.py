import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import first_least, halves


@st.composite
def points(draw):
    """Draw two keys and permissions of the same points, with many ties."""
    number = draw(st.integers(1, 8))
    values = st.lists(st.sampled_from([1.0, 1.5, 2.0]), min_size=number, max_size=number)
    allowed = st.lists(st.booleans(), min_size=number, max_size=number)
    return torch.tensor(draw(values)), torch.tensor(draw(values)), torch.tensor(draw(allowed))


@given(data=points())
@settings(deadline=None)
def test_the_least_allowed_point_is_the_first_in_a_sorted_list(data):
    first, second, allowed = (values.tolist() for values in data)
    order = sorted(range(len(first)), key=lambda point: (first[point], second[point], point))
    assert first_least(data[2], *data[:2]) == next((point for point in order if allowed[point]), None)


@given(num_samples=st.integers(0, 50), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_halves_part_the_samples_evenly(num_samples, seed):
    first, second = halves(num_samples, seed)
    assert sorted(first.tolist() + second.tolist()) == list(range(num_samples))
    assert (len(first), len(second)) == (num_samples // 2, num_samples - num_samples // 2)
    for half in (first, second):
        assert half.tolist() == sorted(half.tolist())


def test_halves_depend_on_the_seed_alone():
    assert torch.equal(halves(100, seed=1)[0], halves(100, seed=1)[0])
    assert not torch.equal(halves(100, seed=1)[0], halves(100, seed=2)[0])


def test_every_sample_is_as_likely_in_either_half():
    first = torch.zeros(5)
    for seed in range(2000):
        first[halves(5, seed)[0]] += 1
    assert (first / 2000).tolist() == pytest.approx([0.4] * 5, abs=0.05)
