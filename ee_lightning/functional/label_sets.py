"""Predictions that may be sets of labels: one row of truth values a sample, where a class would be one number."""

import torch
from torch import Tensor


def where_rows(condition: Tensor, these: Tensor, those: Tensor) -> Tensor:
    """Take whole rows of one tensor or of another.

    Args:
        condition: Which one, of shape [rows].
        these: Where it holds, of shape [rows, ...].
        those: Where it does not, of the same shape.

    Example:
        >>> where_rows(torch.tensor([True, False]), torch.ones(2, 2), torch.zeros(2, 2))
        tensor([[1., 1.],
                [0., 0.]])
    """
    return torch.where(condition.reshape(-1, *[1] * (these.ndim - 1)), these, those)


def same_rows(these: Tensor, those: Tensor) -> Tensor:
    """Tell where predictions agree: class numbers that are equal, or sets with the same labels throughout.

    Args:
        these: Class numbers, of shape [samples]; or labels, of shape [samples, labels].
        those: The others, of the same shape.

    Returns:
        Booleans, of shape [samples].

    Example:
        >>> same_rows(torch.tensor([[1, 0], [1, 1]]), torch.tensor([[1, 0], [0, 1]]))
        tensor([ True, False])
    """
    return (these == those).flatten(1).all(-1) if these.ndim > 1 else these == those


def set_numbers(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Number the different sets of labels, so that a set can stand as a class.

    Args:
        labels: Whether each label is there, of shape [..., labels].

    Returns:
        The number of each set, of shape [...], and the sets, of shape [sets, labels].

    Example:
        >>> set_numbers(torch.tensor([[1, 1], [0, 1], [1, 1]]))
        (tensor([1, 0, 1]), tensor([[0, 1],
                [1, 1]]))
    """
    sets, numbers = torch.unique(labels.flatten(0, -2), dim=0, return_inverse=True)
    return numbers.reshape(labels.shape[:-1]), sets
