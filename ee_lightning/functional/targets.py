"""What the exits are to say of a sample, where that is not its class alone."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def soft_targets(
    labels: Tensor, num_classes: int, smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    r"""Give every class's share in a sample's cross entropy: :math:`w_y ((1 - \epsilon) [c = y] + \epsilon / C)`.

    Label smoothing is `Szegedy et al. 2016 <https://arxiv.org/abs/1512.00567>`_'s. A class weight multiplies a sample's
    whole loss, with its smoothing; the batch mean stays a mean over samples. (PyTorch's ``cross_entropy`` divides by
    the sum of the weights, and weighs the smoothing's share of every class by that class's own.)

    Args:
        labels: Class numbers y, of shape [batch].
        num_classes: Number of classes C.
        smoothing: ε, in [0, 1).
        class_weights: w, of shape [classes]; None for ones.

    Returns:
        The shares, of shape [batch, classes], for `exit_cross_entropies`.

    Example:
        >>> soft_targets(torch.tensor([1, 0]), 2, smoothing=0.2, class_weights=torch.tensor([1.0, 3.0]))
        tensor([[0.3000, 2.7000],
                [0.9000, 0.1000]])
    """
    targets = (1 - smoothing) * one_hot(labels, num_classes) + smoothing / num_classes  # [batch, classes]
    return targets if class_weights is None else targets * class_weights[labels].unsqueeze(-1)


def balanced_weights(counts: Tensor) -> Tensor:
    """Give class weights by which all classes that occur count alike, and 0 for those that do not.

    Args:
        counts: How often each class occurs, of shape [..., classes].

    Returns:
        Weights with the mean 1 over the samples, of shape [..., classes].

    Example:
        >>> balanced_weights(torch.tensor([30, 10, 0]))
        tensor([0.6667, 2.0000, 0.0000])
    """
    occurs = counts > 0  # [..., classes]
    samples, occurring = counts.sum(-1, keepdim=True), occurs.sum(-1, keepdim=True)  # [..., 1] each
    return torch.where(occurs, samples / (occurring * counts.clamp(min=1)), 0.0)
