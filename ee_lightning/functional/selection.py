"""Picking one operating point of a curve."""

import torch
from torch import Tensor


def fastest_point(mean_exit: Tensor, score: Tensor, allowed: Tensor) -> int | None:
    """Find the fastest of the allowed points; of equally fast ones the best, then the first.

    Args:
        mean_exit: Mean number of executed layers, of shape [points].
        score: The higher, the better, of shape [points].
        allowed: Which points may be picked, in bool, of shape [points].

    Returns:
        The position along the points, or None where none is allowed.

    Example:
        >>> mean_exit, score = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0.9, 0.8, 0.5])
        >>> fastest_point(mean_exit, score, allowed=score >= 0.75)
        1
    """
    return _least(allowed, mean_exit, -score)


def best_point(mean_exit: Tensor, score: Tensor, allowed: Tensor) -> int | None:
    """Find the allowed point of the highest score; of equally good ones the fastest, then the first.

    Args:
        mean_exit: Mean number of executed layers, of shape [points].
        score: The higher, the better, of shape [points].
        allowed: Which points may be picked, in bool, of shape [points].

    Returns:
        The position along the points, or None where none is allowed.

    Example:
        >>> mean_exit, score = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0.9, 0.8, 0.5])
        >>> best_point(mean_exit, score, allowed=mean_exit <= 2)
        1
    """
    return _least(allowed, -score, mean_exit)


def halves(num_samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Split samples at random: one half to choose on, one to report on.

    Args:
        num_samples: Number of samples; of an odd number the second half gets one more.
        seed: Of the random order, from 0.

    Returns:
        Ascending indices, of shapes [samples // 2] and [samples - samples // 2].

    Example:
        >>> [len(half) for half in halves(5, seed=0)]
        [2, 3]
    """
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))  # [samples]
    first, second = order.tensor_split([num_samples // 2])
    return first.sort().values, second.sort().values


def _least(allowed: Tensor, *keys: Tensor) -> int | None:
    """Find the first of the allowed entries with the least first key, of those with the least second key."""
    if not allowed.any():
        return None
    for key in keys:
        allowed = allowed & (key == key[allowed].min())
    return int(allowed.nonzero()[0])
