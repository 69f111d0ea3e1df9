"""Several labels a sample as decisions between two classes, against PyTorch's binary cross entropy."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from ee_lightning.functional import (
    balanced_weights,
    diversity_term,
    exit_losses,
    gate_loss,
    label_decision_targets,
    label_decisions,
)

shapes = st.fixed_dictionaries(
    {"samples": st.integers(1, 9), "labels": st.integers(2, 6), "seed": st.integers(0, 2**32)}
)


def make(samples, labels, seed=0, exits=3):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(exits, samples, labels, generator=generator, dtype=torch.float64)
    return logits, torch.randint(2, (samples, labels), generator=generator)


@settings(deadline=None, max_examples=50)
@given(shape=shapes, weighted=st.booleans())
def test_the_loss_is_the_binary_cross_entropy_averaged_over_samples_and_labels(shape, weighted):
    logits, labels = make(**shape)
    there = torch.rand(labels.shape[1], dtype=torch.float64) + 0.5 if weighted else torch.ones(labels.shape[1]).double()
    weights = torch.stack([torch.ones_like(there), there], dim=-1)
    losses = exit_losses(label_decisions(logits), label_decision_targets(labels, weights=weights))
    for loss, said in zip(losses, logits, strict=True):
        torch.testing.assert_close(loss, binary_cross_entropy_with_logits(said, labels.double(), pos_weight=there))
    plain = exit_losses(label_decisions(logits), labels.flatten())
    torch.testing.assert_close(plain[0], binary_cross_entropy_with_logits(logits[0], labels.double()))


def test_smoothing_draws_a_label_and_its_absence_towards_each_other():
    logits, labels = make(5, 4)
    loss = exit_losses(label_decisions(logits), label_decision_targets(labels, smoothing=0.2))[0]
    torch.testing.assert_close(loss, binary_cross_entropy_with_logits(logits[0], 0.8 * labels.double() + 0.1))


def test_balanced_weights_let_a_label_and_its_absence_count_alike():
    weights = balanced_weights(torch.tensor([[30, 10], [20, 20], [40, 0]]))
    torch.testing.assert_close(weights, torch.tensor([[2 / 3, 2.0], [1.0, 1.0], [1.0, 0.0]]))


@settings(deadline=None, max_examples=30)
@given(shape=shapes)
def test_diversity_is_the_mean_binary_cross_entropy_with_the_most_alike_earlier_exit(shape):
    logits, _ = make(**shape)
    p = logits.sigmoid()
    between = {(m, j): binary_cross_entropy(p[m], p[j]) for m in range(3) for j in range(m)}
    expected = between[1, 0] + torch.minimum(between[2, 0], between[2, 1])
    torch.testing.assert_close(diversity_term(label_decisions(logits)), expected)
    each = {pair: binary_cross_entropy(p[pair[0]], p[pair[1]], reduction="none") for pair in between}
    expected = each[1, 0].mean() + torch.minimum(each[2, 0], each[2, 1]).mean()
    torch.testing.assert_close(diversity_term(label_decisions(logits), minimum="sample"), expected)


def test_a_gate_learns_whether_any_label_is_wrong():
    logits = torch.tensor([[[1.0, -1.0], [1.0, 1.0]]])
    assert gate_loss(torch.tensor([[0.5, 0.0]]), logits, torch.tensor([[1, 0], [1, 0]])).item() == (0.25 + 1) / 2
