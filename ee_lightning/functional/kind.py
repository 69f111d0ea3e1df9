"""What a task asks of an exit, what logits then predict, and predictions that are sets of labels."""

from enum import Enum
from typing import NamedTuple

from ee_lightning.functional.arrays import Array, as_float32, namespace


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


def predictions_of(logits: Array, kind: Kind) -> Array:
    """Return what logits [..., classes] predict.

    That is the most likely classes, [...]; the values, in float32, [...]; or for labels whether each one is more likely
    there than not, booleans, [..., labels].

    Example:
        >>> import numpy as np
        >>> logits = np.array([[2.0, 1.0, -1.0]])
        >>> predictions_of(logits, Kind.SINGLE_LABEL), predictions_of(logits, Kind.MULTI_LABEL)
        (array([0]), array([[ True,  True, False]]))
    """
    if kind is Kind.MULTI_LABEL:
        return logits > 0
    if kind is Kind.SINGLE_LABEL:
        return logits.argmax(-1)
    return as_float32(logits.squeeze(-1))


def where_rows(condition: Array, these: Array, those: Array) -> Array:
    """Take whole rows of one array where a condition [rows] holds, and of another elsewhere, both [rows, ...].

    Example:
        >>> import numpy as np
        >>> where_rows(np.array([True, False]), np.ones((2, 2)), np.zeros((2, 2)))
        array([[1., 1.],
               [0., 0.]])
    """
    rows = condition.reshape((-1, *[1] * (these.ndim - 1)))
    chosen: Array = namespace(condition).where(rows, these, those)
    return chosen


def same_rows(these: Array, those: Array) -> Array:
    """Return which samples' predictions agree: class numbers, or labels [samples, labels] throughout.

    Example:
        >>> import numpy as np
        >>> same_rows(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
        array([ True, False])
    """
    return (these == those).all(-1) if these.ndim > 1 else these == those
