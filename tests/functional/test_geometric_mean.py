import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from ee_lightning.functional import fit_geometric_means


def informed(num_exits, num_samples, num_classes, seed, knowledge=1.0):
    """Draw log-probabilities that favour the labels, the later the more."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(num_classes, (num_samples,), generator=generator)
    favour = knowledge * torch.linspace(0, 1, num_exits).view(-1, 1, 1) * one_hot(labels, num_classes)
    logits = favour + torch.randn(num_exits, num_samples, num_classes, generator=generator)
    return logits.log_softmax(-1), labels


def objective(log_probabilities, labels, weights, biases):
    """Return what one exit's weights [m] and biases [classes] minimise, from its definition."""
    m = len(weights)
    logits = torch.einsum("j,jnc->nc", weights, log_probabilities[:m].double()) + biases
    prior = (weights - 1 / m).square().sum() / 2 + biases.square().sum() / 2
    return cross_entropy(logits, labels, reduction="sum") + prior


@settings(deadline=None, max_examples=30)
@given(
    num_exits=st.integers(1, 5),
    num_samples=st.integers(1, 40),
    num_classes=st.integers(2, 4),
    knowledge=st.sampled_from([0.0, 1.0, 30.0]),
    seed=st.integers(0, 999),
)
def test_the_objective_has_its_only_minimum_there(num_exits, num_samples, num_classes, knowledge, seed):
    log_probabilities, labels = informed(num_exits, num_samples, num_classes, seed, knowledge)
    weights, biases = fit_geometric_means(log_probabilities, labels)
    assert torch.equal(weights, weights.tril())
    assert (weights.dtype, weights.shape) == (torch.float64, (num_exits, num_exits))
    for m in range(1, num_exits + 1):
        own = [weights[m - 1, :m].clone().requires_grad_(), biases[m - 1].clone().requires_grad_()]
        gradient = torch.autograd.grad(objective(log_probabilities, labels, *own), own)
        assert torch.cat(gradient).abs().max() < 1e-3  # and the problem is strictly convex


def test_gradient_descent_finds_the_same_weights():
    log_probabilities, labels = informed(4, 300, 3, seed=1)
    fitted = fit_geometric_means(log_probabilities, labels)
    weights, biases = (tensor[-1].clone().zero_().requires_grad_() for tensor in fitted)
    optimizer = torch.optim.LBFGS([weights, biases], max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = objective(log_probabilities, labels, weights, biases)
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(fitted[0][-1], weights.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fitted[1][-1], biases.detach(), atol=1e-5, rtol=1e-5)


def test_labels_drawn_from_a_weighted_mean_give_its_weights_back():
    generator = torch.Generator().manual_seed(0)
    log_probabilities = (2 * torch.randn(3, 50_000, 3, generator=generator)).log_softmax(-1)
    true = torch.tensor([0.2, -0.5, 0.9])
    bias = torch.tensor([0.3, 0.0, -0.3])
    mean = (torch.einsum("j,jnc->nc", true, log_probabilities) + bias).softmax(-1)
    weights, biases = fit_geometric_means(log_probabilities, torch.multinomial(mean, 1, generator=generator)[:, 0])
    torch.testing.assert_close(weights[-1].float(), true, atol=0.03, rtol=0)
    torch.testing.assert_close(biases[-1].float(), bias, atol=0.03, rtol=0)


def test_exits_that_repeat_each_other_share_the_weight():
    log_probabilities, labels = informed(2, 100, 3, seed=2)
    weights, _ = fit_geometric_means(log_probabilities[1:].expand(4, -1, -1), labels)
    assert weights[-1].std() < 1e-6
    assert weights[-1].sum() == pytest.approx(weights[0, 0].item(), rel=0.05)


def test_exits_that_say_nothing_keep_the_plain_mean():
    weights, biases = fit_geometric_means(torch.zeros(3, 8, 2) - 0.7, torch.tensor([0, 1] * 4))
    torch.testing.assert_close(weights, torch.tensor([[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3]).double())
    torch.testing.assert_close(biases, torch.zeros(3, 2).double())


@pytest.mark.parametrize("least", [-87.0, -1e3])
def test_certainty_that_is_wrong_leaves_finite_weights(least):
    log_probabilities = torch.tensor([[0.0, least], [least, 0.0]]).expand(3, -1, -1)
    weights, biases = fit_geometric_means(log_probabilities, torch.tensor([1, 1]))
    assert weights.isfinite().all()
    assert biases.isfinite().all()


@pytest.mark.parametrize("scale", [3.0, 30.0])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_steps_that_overshoot_are_shortened(scale, num_classes):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(num_classes, (40,), generator=generator)
    log_probabilities = (scale * torch.randn(3, 40, num_classes, generator=generator)).log_softmax(-1)  # sure and wrong
    weights, biases = fit_geometric_means(log_probabilities, labels)
    own = [weights[-1].clone().requires_grad_(), biases[-1].clone().requires_grad_()]
    gradient = torch.autograd.grad(objective(log_probabilities, labels, *own), own)
    assert torch.cat(gradient).abs().max() < 1e-3
