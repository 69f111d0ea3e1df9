import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from ee_lightning.functional import (
    accuracy_term,
    divergences_from,
    diversity_term,
    exit_losses,
    gate_loss,
    pairwise_cross_entropies,
)


@st.composite
def batches(draw, min_exits=1):
    """Draw logits [exits, batch, classes] in float64 that take gradients, and labels [batch]."""
    num_exits, batch, classes = draw(st.integers(min_exits, 5)), draw(st.integers(1, 4)), draw(st.integers(2, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.1, 1.0, 10.0]))
    logits = scale * torch.randn(num_exits, batch, classes, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(classes, (batch,), generator=generator)


def naive_cross_entropy(later, earlier):
    """-sum_c p_earlier(c) log p_later(c) of two vectors of logits, class by class."""
    target, prediction = later.new_tensor(0.0), later - later.logsumexp(0)
    for c in range(len(later)):
        target = target - earlier.softmax(0)[c] * prediction[c]
    return target


def naive_diversity(logits, minimum, last_exit, stop_gradient):
    num_exits, batch, _ = logits.shape
    targets = logits.detach() if stop_gradient else logits
    total = logits.sum() * 0
    for m in range(1, num_exits if last_exit else num_exits - 1):
        rows = [[naive_cross_entropy(logits[m, b], targets[j, b]) for b in range(batch)] for j in range(m)]
        if minimum == "batch":
            total = total + min(sum(row) / batch for row in rows)
        else:
            total = total + sum(min(row[b] for row in rows) for b in range(batch)) / batch
    return total


def gradient(loss, logits):
    return torch.autograd.grad(loss, logits)[0]


@settings(deadline=None, max_examples=50)
@given(batch=batches())
def test_accuracy_term_equals_a_loop(batch):
    logits, labels = batch
    weights = torch.rand(len(logits), dtype=torch.float64)
    naive = sum(weights[m] * cross_entropy(logits[m], labels) for m in range(len(logits)))
    term = accuracy_term(logits, labels, weights)
    torch.testing.assert_close(term, naive)
    torch.testing.assert_close(gradient(term, logits), gradient(naive, logits))


@settings(deadline=None, max_examples=50)
@given(batch=batches(), stop_gradient=st.booleans())
def test_pairwise_cross_entropies_equal_a_double_loop(batch, stop_gradient):
    logits, _ = batch
    pairwise = pairwise_cross_entropies(logits, stop_gradient=stop_gradient)
    assert pairwise.shape == (len(logits), *logits.shape[:2])
    for m in range(len(logits)):
        for j in range(len(logits)):
            for b in range(logits.shape[1]):
                expected = naive_cross_entropy(logits[m, b], logits[j, b]) if j < m else torch.tensor(math.inf).double()
                torch.testing.assert_close(pairwise[m, j, b], expected)


@settings(deadline=None, max_examples=100)
@given(
    batch=batches(),
    minimum=st.sampled_from(["batch", "sample"]),
    last_exit=st.booleans(),
    stop_gradient=st.booleans(),
)
def test_diversity_term_and_its_gradient_equal_a_double_loop(batch, minimum, last_exit, stop_gradient):
    logits, _ = batch
    term = diversity_term(logits, minimum=minimum, last_exit=last_exit, stop_gradient=stop_gradient)
    naive = naive_diversity(logits, minimum, last_exit, stop_gradient)
    torch.testing.assert_close(term, naive)
    torch.testing.assert_close(gradient(term, logits), gradient(naive, logits))


@pytest.mark.parametrize("minimum", ["batch", "sample"])
def test_exits_that_are_all_alike_pass_the_gradient_to_the_first_of_them(minimum):
    logits = torch.zeros(3, 2, 3, dtype=torch.float64)
    logits[..., 0] = 1.0
    logits.requires_grad_()
    term = diversity_term(logits, minimum=minimum)
    torch.testing.assert_close(gradient(term, logits), gradient(naive_diversity(logits, minimum, True, False), logits))


@pytest.mark.parametrize(("num_exits", "classes"), [(1, 2), (2, 2), (12, 3)])
def test_uniform_exits_have_closed_forms(num_exits, classes):
    logits, labels = torch.zeros(num_exits, 5, classes), torch.tensor([0, 1, 0, 1, 1])
    torch.testing.assert_close(exit_losses(logits, labels), torch.full((num_exits,), math.log(classes)))
    torch.testing.assert_close(diversity_term(logits), torch.tensor((num_exits - 1) * math.log(classes)))


def test_target_is_the_earlier_exit():
    logits = torch.tensor([[[0.75, 0.25]], [[0.5, 0.5]], [[0.1, 0.9]]]).log()
    pairwise = pairwise_cross_entropies(logits)
    assert pairwise[1, 0].item() == pytest.approx(math.log(2))
    assert pairwise[2, 0].item() == pytest.approx(-(0.75 * math.log(0.1) + 0.25 * math.log(0.9)))
    assert pairwise[2, 1].item() == pytest.approx(-(0.5 * math.log(0.1) + 0.5 * math.log(0.9)))
    expected = math.log(2) - (0.5 * math.log(0.1) + 0.5 * math.log(0.9))
    assert diversity_term(logits).item() == pytest.approx(expected)
    assert diversity_term(logits, last_exit=False).item() == pytest.approx(math.log(2))


def test_minimum_per_sample_is_at_most_that_of_the_batch_and_may_be_less():
    agree, differ = [4.0, -4.0], [-4.0, 4.0]
    logits = torch.tensor([[agree, differ], [differ, agree], [agree, agree]])
    per_batch = diversity_term(logits, minimum="batch")
    per_sample = diversity_term(logits, minimum="sample")
    assert per_batch.item() == pytest.approx(8 + 4, abs=0.02)
    assert per_sample.item() == pytest.approx(8 + 0, abs=0.02)


def test_confident_disagreement_has_no_bound():
    logits = torch.tensor([[[500.0, -500.0]], [[-500.0, 500.0]]])
    assert diversity_term(logits).item() == pytest.approx(1000.0)


def test_stop_gradient_leaves_the_earlier_exit_alone():
    logits = torch.randn(2, 3, 4).requires_grad_()
    assert gradient(diversity_term(logits, stop_gradient=True), logits)[0].abs().max() == 0
    assert gradient(diversity_term(logits), logits)[0].abs().max() > 0


@pytest.mark.parametrize(("num_exits", "last_exit"), [(1, True), (1, False), (2, False)])
def test_diversity_without_a_pair_is_a_differentiable_zero(num_exits, last_exit):
    logits = torch.randn(num_exits, 3, 2).requires_grad_()
    term = diversity_term(logits, last_exit=last_exit)
    assert term.item() == 0
    assert gradient(term, logits).abs().max() == 0


def test_mixed_precision_does_not_round_the_terms():
    logits, labels = torch.randn(4, 8, 3), torch.randint(3, (8,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        accuracy, diversity = accuracy_term(logits, labels, torch.ones(4)), diversity_term(logits)
    assert torch.equal(accuracy, accuracy_term(logits, labels, torch.ones(4)))
    assert torch.equal(diversity, diversity_term(logits))
    assert diversity_term(logits.bfloat16()).dtype == torch.float32


def test_unknown_minimum_is_refused():
    with pytest.raises(ValueError, match=r"`minimum` to be one of \('batch', 'sample'\), but got 'min'"):
        diversity_term(torch.zeros(2, 1, 2), minimum="min")


@pytest.mark.parametrize("weights", [torch.ones(1), torch.ones(4), torch.tensor(1.0)])
def test_one_weight_per_exit_is_required(weights):
    with pytest.raises(ValueError, match=r"`weights` of shape \[3\]"):
        accuracy_term(torch.zeros(3, 2, 2), torch.tensor([0, 1]), weights)


@settings(deadline=None, max_examples=30)
@given(batch=batches())
def test_divergences_equal_a_loop_and_leave_the_teacher_alone(batch):
    logits, _ = batch
    num_exits, num_samples, _ = logits.shape
    teacher = logits[-1].softmax(-1).tolist()
    divergences = divergences_from(logits[-1], logits)
    for m in range(num_exits):
        student = logits[m].softmax(-1)
        naive = [
            sum(p * (math.log(p) - student[b, c].log().item()) for c, p in enumerate(teacher[b]) if p > 0)
            for b in range(num_samples)
        ]
        assert divergences[m].item() == pytest.approx(sum(naive) / num_samples, rel=1e-6, abs=1e-9)
    assert divergences[-1].item() == pytest.approx(0, abs=1e-12)
    assert gradient(divergences.sum(), logits)[-1].abs().max() < 1e-12


@pytest.mark.parametrize("classes", [1, 2, 20])
def test_gate_loss_equals_a_loop_and_teaches_the_gate_alone(classes):
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(3, 7, classes, generator=generator, dtype=torch.float64).requires_grad_()
    gate = torch.rand(3, 7, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(classes, (7,), generator=generator) if classes > 1 else torch.randn(7, dtype=torch.float64)
    naive = 0.0
    for m in range(3):
        for b in range(7):
            if classes == 1:
                target = math.tanh(abs(logits[m, b, 0].item() - labels[b].item()))
            else:
                target = float(max(range(classes), key=logits[m, b].tolist().__getitem__) != labels[b])
            naive += (gate[m, b].item() - target) ** 2 / 7
    loss = gate_loss(gate, logits, labels)
    assert loss.item() == pytest.approx(naive)
    loss.backward()
    assert logits.grad is None
    assert gate.grad.abs().min() > 0
