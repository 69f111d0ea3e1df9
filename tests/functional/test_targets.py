import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from ee_lightning.functional import (
    accuracy_term,
    balanced_weights,
    exit_losses,
    soft_targets,
)


@st.composite
def batches(draw):
    num_exits, batch, classes = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(2, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    logits = 3 * torch.randn(num_exits, batch, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (batch,), generator=generator)


@settings(deadline=None, max_examples=30)
@given(batch=batches(), smoothing=st.floats(0, 0.99))
def test_smoothed_cross_entropies_are_those_of_torch(batch, smoothing):
    logits, labels = batch
    targets = soft_targets(labels, logits.shape[-1], smoothing)
    expected = torch.stack([cross_entropy(each, labels, label_smoothing=smoothing) for each in logits])
    torch.testing.assert_close(exit_losses(logits, targets), expected)


@settings(deadline=None, max_examples=30)
@given(batch=batches())
def test_weighted_cross_entropies_are_those_of_torch_before_its_normalisation(batch):
    logits, labels = batch
    weights = torch.rand(logits.shape[-1], dtype=torch.float64) + 0.1
    targets = soft_targets(labels, logits.shape[-1], class_weights=weights)
    expected = sum(cross_entropy(each, labels, weight=weights) for each in logits) * weights[labels].mean()
    torch.testing.assert_close(accuracy_term(logits, targets, torch.ones(len(logits), dtype=torch.float64)), expected)


def test_a_class_weight_counts_for_the_smoothed_part_too():
    targets = soft_targets(torch.tensor([0]), 4, smoothing=0.4, class_weights=torch.tensor([2.0, 9.0, 9.0, 9.0]))
    assert targets.tolist() == [pytest.approx([1.4, 0.2, 0.2, 0.2])]


@settings(deadline=None, max_examples=30)
@given(counts=st.lists(st.integers(0, 50), min_size=2, max_size=6).filter(any))
def test_balanced_classes_have_the_same_total_and_samples_the_mean_1(counts):
    numbers = torch.tensor(counts)
    totals = balanced_weights(numbers) * numbers
    assert totals.sum().item() == pytest.approx(numbers.sum().item())
    occurring = totals[numbers > 0]
    torch.testing.assert_close(occurring, occurring[:1].expand_as(occurring))
    assert (balanced_weights(numbers)[numbers == 0] == 0).all()
