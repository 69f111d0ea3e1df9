r"""The losses of the training objectives, above all the two terms of `Sun et al. 2021 <https://arxiv.org/abs/2105.13792>`_.

.. math:: L = \sum_{m=1}^{M} w_m \, CE(p_m, y) - \lambda \sum_{m=2}^{M} \min_{j<m} CE(p_m, p_j)

with exits :math:`m`, their distributions :math:`p_m = \mathrm{softmax}(z_m)` over the classes c, layer weights
:math:`w_m` and the label y. Between two exits the target is the earlier one:
:math:`CE(p_m, p_j) = -\sum_c p_j(c) \log p_m(c)`.

`logits` are those of all exits, of shape [exits, batch, classes]; of regression one column of values. `labels` are
class numbers or values, of shape [batch], or each class's share as `soft_targets` gives it, of shape [batch, classes].
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ee_lightning.functional.arrays import absent_or_there

Minimum = Literal["batch", "sample"]
_SUREST = 1e-6


def sample_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return every exit's loss on every sample, [exits, batch]: cross entropy in nats, for regression squared error.

    Example:
        >>> sample_losses(torch.tensor([[[1.0], [2.0]]]), torch.tensor([1.0, 4.0]))
        tensor([[0., 4.]])
    """
    if logits.shape[-1] == 1:
        return (logits.squeeze(-1) - labels).square()  # [exits, batch]
    if labels.ndim == 2:
        return -(labels * _log_probabilities(logits)).sum(-1)  # [exits, batch]
    targets = labels.expand(len(logits), -1).unsqueeze(-1)  # [exits, batch, 1]
    return -_log_probabilities(logits).gather(-1, targets).squeeze(-1)  # [exits, batch]


def exit_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return every exit's mean loss, of shape [exits]; see `sample_losses`.

    Example:
        >>> exit_losses(torch.zeros(3, 4, 2), torch.tensor([0, 1, 1, 0]))
        tensor([0.6931, 0.6931, 0.6931])
    """
    return sample_losses(logits, labels).mean(-1)  # [exits]


def halting_log_probabilities(gate: Tensor) -> Tensor:
    r"""Return the logarithms of how likely a sample leaves at each exit, of shape [exits, batch].

    .. math:: p_m = (1 - u_m) \prod_{j<m} u_j, \qquad p_M = \prod_{j<M} u_j

    with the gate's probabilities :math:`u_m` of going on after exit m, of shape [exits, batch]. Who reaches the last
    exit leaves there. A gate counts as no surer than a millionth from 0 and 1, so that the logarithms are finite.

    Example:
        >>> halting_log_probabilities(torch.tensor([[0.5], [0.75], [0.3]])).exp().T
        tensor([[0.5000, 0.1250, 0.3750]])
    """
    bounded = gate[:-1].clamp(_SUREST, 1 - _SUREST)  # [early exits, batch]
    reaches = torch.cat([torch.zeros_like(gate[:1]), bounded.log().cumsum(0)])  # [exits, batch]
    leaves = torch.cat([(-bounded).log1p(), torch.zeros_like(gate[:1])])  # [exits, batch]
    return reaches + leaves


def divergences_from(teacher: Tensor, students: Tensor) -> Tensor:
    r"""Return the Kullback-Leibler divergence of exits from a teacher, :math:`KL(p_t \| p_m)`, as means over the batch.

    Logits of the teacher, a constant for the gradient, and of the exits are broadcast, [..., batch, classes]; the means
    are in nats, [...].

    Example:
        >>> divergences_from(torch.zeros(1, 2), torch.tensor([[[0.0, 0.0]], [[1.0, -1.0]]]))
        tensor([0.0000, 0.4338])
    """
    target = _log_probabilities(teacher.detach())  # [..., batch, classes]
    return (target.exp() * (target - _log_probabilities(students))).sum(-1).mean(-1)  # [...]


def gate_loss(gate: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    r"""Return how far a gate is from knowing where its exit is wrong, by the squared error (BERxiT, Xin et al. 2021).

    The target is 1 where the exit's most likely class is wrong and 0 where it is right; of several labels
    [batch, labels] 1 where any is wrong; for regression :math:`\tanh |\hat y - y|`. It is a constant for the gradient.
    The loss is the sum over exits of the means over the batch; the gate's probabilities of being wrong are of shape
    [exits, batch].

    Example:
        >>> gate_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.tensor([0, 1]))
        tensor(0.6250)
    """
    if labels.ndim == 2:
        wrong = ((logits > 0) != labels).any(-1).to(gate.dtype)  # [exits, batch]
    elif logits.shape[-1] > 1:
        wrong = (logits.argmax(-1) != labels).to(gate.dtype)  # [exits, batch]
    else:
        wrong = (logits.detach().squeeze(-1) - labels).abs().tanh()  # [exits, batch]
    return (gate - wrong).square().mean(-1).sum()


def pairwise_cross_entropies(logits: Tensor, *, stop_gradient: bool = False) -> Tensor:
    """Return the cross entropy of every exit with every earlier exit, sample by sample, in nats.

    A broadcast product rather than a matrix product, which mixed precision and TF32 would round.

    Args:
        logits: Logits of all exits.
        stop_gradient: Treat the earlier exit, the target, as a constant.

    Returns:
        Entry [m, j] is the cross entropy of exit m with its target j, of shape [exits, earlier exits, batch]. Where j
        is not earlier than m it is infinite, so that a minimum over j passes it by.

    Example:
        >>> pairwise_cross_entropies(torch.zeros(2, 1, 2)).squeeze(-1)
        tensor([[   inf,    inf],
                [0.6931,    inf]])
    """
    log_probabilities = _log_probabilities(logits)  # [exits, batch, classes]
    targets = log_probabilities.exp()
    if stop_gradient:
        targets = targets.detach()
    products = log_probabilities.unsqueeze(1) * targets.unsqueeze(0)  # [exits, earlier exits, batch, classes]
    is_earlier = torch.ones(len(logits), len(logits), dtype=torch.bool, device=logits.device).tril(-1)
    return -products.sum(-1).masked_fill(~is_earlier.unsqueeze(-1), -torch.inf)  # [exits, earlier exits, batch]


def accuracy_term(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Sum the exits' losses (see `exit_losses`), each times its layer weight, of shape [exits].

    Example:
        >>> accuracy_term(torch.zeros(3, 4, 2), torch.tensor([0, 1, 1, 0]), torch.ones(3))
        tensor(2.0794)
    """
    if weights.shape != logits.shape[:1]:
        raise ValueError(f"Expected argument `weights` of shape [{len(logits)}], but got {list(weights.shape)}.")
    return (weights * exit_losses(logits, labels)).sum()


def diversity_term(
    logits: Tensor, *, minimum: Minimum = "batch", last_exit: bool = True, stop_gradient: bool = False
) -> Tensor:
    """Sum, over all exits but the first, the cross entropy in nats with the most alike of the earlier exits.

    The term has no upper bound: an objective that subtracts it has no lower one.

    The paper defines it for classes that exclude each other. For several labels a sample give it `label_decisions`: it
    is then the mean over samples and labels of the binary cross entropies between exits, and with "sample" every label
    of a sample has a most alike exit of its own.

    Args:
        logits: Logits of all exits.
        minimum: Where the most alike earlier exit is chosen: "batch" for one that serves the whole batch, by the batch
            means, "sample" for one of each sample's own.
        last_exit: Whether the last exit is asked to differ too.
        stop_gradient: Treat the earlier exit, the target, as a constant.

    Example:
        >>> diversity_term(torch.zeros(3, 4, 2))
        tensor(1.3863)
    """
    if minimum not in get_args(Minimum):
        raise ValueError(f"Expected argument `minimum` to be one of {get_args(Minimum)}, but got {minimum!r}.")
    pairwise = pairwise_cross_entropies(logits, stop_gradient=stop_gradient)  # [exits, earlier exits, batch]
    nearest = pairwise.mean(-1).min(1).values if minimum == "batch" else pairwise.min(1).values.mean(-1)  # [exits]
    return nearest[1 : len(nearest) if last_exit else -1].sum()


def _log_probabilities(logits: Tensor) -> Tensor:
    return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))


def equal_weights(num_exits: int) -> Tensor:
    """Weigh all exits alike (`Sun et al. 2021 <https://arxiv.org/abs/2105.13792>`_).

    Example:
        >>> equal_weights(3)
        tensor([1., 1., 1.])
    """
    return torch.ones(num_exits)


def linear_weights(num_exits: int) -> Tensor:
    """Weigh exit m by m (`Sun et al. 2021 <https://arxiv.org/abs/2105.13792>`_, appendix, for BERT).

    Example:
        >>> linear_weights(3)
        tensor([1., 2., 3.])
    """
    return torch.arange(1.0, num_exits + 1)


def soft_targets(
    labels: Tensor, num_classes: int, smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    r"""Return every class's share in a sample's cross entropy: :math:`w_y ((1 - \epsilon) [c = y] + \epsilon / C)`.

    Label smoothing is `Szegedy et al. 2016 <https://arxiv.org/abs/1512.00567>`_'s, with ε in [0, 1). A class weight w
    [classes] multiplies a sample's whole loss, with its smoothing; the batch mean stays a mean over samples. (PyTorch's
    ``cross_entropy`` divides by the sum of the weights, and weighs the smoothing's share of every class by that class's
    own.) The shares are of shape [batch, classes], for `sample_losses`.

    Example:
        >>> soft_targets(torch.tensor([1, 0]), 2, smoothing=0.2, class_weights=torch.tensor([1.0, 3.0]))
        tensor([[0.3000, 2.7000],
                [0.9000, 0.1000]])
    """
    targets = (1 - smoothing) * one_hot(labels, num_classes) + smoothing / num_classes  # [batch, classes]
    return targets if class_weights is None else targets * class_weights[labels].unsqueeze(-1)


def balanced_weights(counts: Tensor) -> Tensor:
    """Return class weights by which all classes that occur count alike, and 0 for those that do not.

    Their mean over the samples is 1. Counts and weights are of shape [..., classes].

    Example:
        >>> balanced_weights(torch.tensor([30, 10, 0]))
        tensor([0.6667, 2.0000, 0.0000])
    """
    occurs = counts > 0  # [..., classes]
    samples, occurring = counts.sum(-1, keepdim=True), occurs.sum(-1, keepdim=True)  # [..., 1] each
    return torch.where(occurs, samples / (occurring * counts.clamp(min=1)), 0.0)


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def scale_gradient(tensor: Tensor, factor: float) -> Tensor:
    """Return the same tensor, whose gradient is multiplied by a factor on its way back.

    Example:
        >>> number = torch.tensor(3.0, requires_grad=True)
        >>> scale_gradient(number, 0.5).square().backward()
        >>> number.grad
        tensor(3.)
    """
    scaled: Tensor = _ScaleGradient.apply(tensor, factor)  # type: ignore[no-untyped-call]
    return scaled


def label_decisions(logits: Tensor) -> Tensor:
    """Lay out exits' logits so that every label of every sample is a sample of two classes, [exits, batch * labels, 2].

    Example:
        >>> label_decisions(torch.tensor([[[1.0, -2.0]]]))
        tensor([[[ 0.,  1.],
                 [ 0., -2.]]])
    """
    return absent_or_there(logits).flatten(1, 2)  # [exits, batch * labels, 2]


def label_decision_targets(labels: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """Return the shares of the two classes in every label's cross entropy, weighted and smoothed like `soft_targets`.

    They are of shape [batch * labels, 2], to go with `label_decisions`. `labels` [batch, labels] are 1 where a label is
    there and 0 elsewhere; `weights` [labels, 2] are how much each label's being absent and its being there count.

    Example:
        >>> label_decision_targets(torch.tensor([[1, 0]]), weights=torch.tensor([[1.0, 3.0], [1.0, 5.0]]))
        tensor([[0., 3.],
                [1., 0.]])
    """
    targets = soft_targets(labels.flatten(), 2, smoothing)  # [batch * labels, 2]
    if weights is None:
        return targets
    chosen = weights.expand(len(labels), -1, -1).gather(-1, labels.unsqueeze(-1))  # [batch, labels, 1]
    return targets * chosen.flatten(0, 1)  # [batch * labels, 2]
