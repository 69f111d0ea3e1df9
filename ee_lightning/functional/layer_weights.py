"""How much each exit counts in the accuracy term of the training objective."""

import torch
from torch import Tensor


def equal_weights(num_exits: int) -> Tensor:
    """Weigh all exits alike (`Sun et al. 2021 <https://arxiv.org/abs/2105.13792>`_).

    Args:
        num_exits: Number of exits M.

    Returns:
        Ones, of shape [exits].

    Example:
        >>> equal_weights(3)
        tensor([1., 1., 1.])
    """
    return torch.ones(num_exits)


def linear_weights(num_exits: int) -> Tensor:
    """Weigh exit m by m (`Sun et al. 2021 <https://arxiv.org/abs/2105.13792>`_, appendix, for BERT).

    Args:
        num_exits: Number of exits M.

    Returns:
        The numbers 1 to M, of shape [exits].

    Example:
        >>> linear_weights(3)
        tensor([1., 2., 3.])
    """
    return torch.arange(1.0, num_exits + 1)
