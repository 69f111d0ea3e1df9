"""Sets of labels that stand as classes."""

import torch
from torch import Tensor


def set_numbers(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Number the different sets of labels [..., labels], so that a set can stand as a class.

    Returns:
        The number of each set, of shape [...], and the sets, of shape [sets, labels].

    Example:
        >>> set_numbers(torch.tensor([[1, 1], [0, 1], [1, 1]]))
        (tensor([1, 0, 1]), tensor([[0, 1],
                [1, 1]]))
    """
    sets, numbers = torch.unique(labels.flatten(0, -2), dim=0, return_inverse=True)
    return numbers.reshape(labels.shape[:-1]), sets
