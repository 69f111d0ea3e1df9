"""What a task asks of an exit, what logits then predict, and predictions that are sets of labels."""

from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor


class Kind(Enum):
    """What is to be predicted of a sample."""

    SINGLE_LABEL = "one of several classes"
    MULTI_LABEL = "any number of labels"
    REGRESSION = "a value"


class Target(NamedTuple):
    """What exits predict of a sample, with the number of classes or labels, which is 1 for regression."""

    kind: Kind
    num_classes: int

    @classmethod
    def of(cls, num_classes: int, *, multi_label: bool = False) -> "Target":
        """Return the target of a task by its number of outputs, and whether each of them is a label for itself.

        This is the one place that decides a task's kind.

        Example:
            >>> Target.of(1).kind.value, Target.of(3, multi_label=True).kind.value
            ('a value', 'any number of labels')
        """
        if multi_label:
            return cls(Kind.MULTI_LABEL, num_classes)
        return cls(Kind.REGRESSION if num_classes == 1 else Kind.SINGLE_LABEL, num_classes)


def predictions_of(logits: Tensor, kind: Kind) -> Tensor:
    """Return what logits [..., classes] predict.

    That is the most likely classes, [...]; the values, in float32, [...]; or for labels whether each one is more likely
    there than not, booleans, [..., labels].

    Example:
        >>> logits = torch.tensor([[2.0, 1.0, -1.0]])
        >>> predictions_of(logits, Kind.SINGLE_LABEL), predictions_of(logits, Kind.MULTI_LABEL)
        (tensor([0]), tensor([[ True,  True, False]]))
    """
    if kind is Kind.MULTI_LABEL:
        return logits > 0
    return logits.squeeze(-1).float() if kind is Kind.REGRESSION else logits.argmax(-1)


def where_rows(condition: Tensor, these: Tensor, those: Tensor) -> Tensor:
    """Take whole rows of one tensor where a condition [rows] holds, and of another elsewhere, both [rows, ...].

    Example:
        >>> where_rows(torch.tensor([True, False]), torch.ones(2, 2), torch.zeros(2, 2))
        tensor([[1., 1.],
                [0., 0.]])
    """
    return torch.where(condition.reshape(-1, *[1] * (these.ndim - 1)), these, those)


def same_rows(these: Tensor, those: Tensor) -> Tensor:
    """Return which samples' predictions agree: class numbers, or labels [samples, labels] throughout.

    Example:
        >>> same_rows(torch.tensor([[1, 0], [1, 1]]), torch.tensor([[1, 0], [0, 1]]))
        tensor([ True, False])
    """
    return (these == those).flatten(1).all(-1) if these.ndim > 1 else these == those


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
