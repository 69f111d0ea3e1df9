"""What a task asks of an exit, and what an exit's logits then say."""

from enum import Enum

from torch import Tensor


class Kind(Enum):
    """What is to be predicted of a sample."""

    SINGLE_LABEL = "one of several classes"
    MULTI_LABEL = "any number of labels"
    REGRESSION = "a value"

    @classmethod
    def of(cls, num_classes: int, *, multi_label: bool) -> "Kind":
        """Tell the kind of a task; this is the one place that decides it.

        Args:
            num_classes: How many outputs an exit has.
            multi_label: Whether each of them is a label for itself.

        Example:
            >>> Kind.of(1, multi_label=False).value, Kind.of(3, multi_label=True).value
            ('a value', 'any number of labels')
        """
        if multi_label:
            return cls.MULTI_LABEL
        return cls.REGRESSION if num_classes == 1 else cls.SINGLE_LABEL


def predictions_of(logits: Tensor, kind: Kind) -> Tensor:
    """Give what logits predict.

    Args:
        logits: Of shape [..., classes].
        kind: What they are logits of.

    Returns:
        The most likely classes, [...]; the values, in float32, [...]; or for labels whether each one is more likely
        there than not, booleans, [..., labels].

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 1.0, -1.0]])
        >>> predictions_of(logits, Kind.SINGLE_LABEL), predictions_of(logits, Kind.MULTI_LABEL)
        (tensor([0]), tensor([[ True,  True, False]]))
    """
    if kind is Kind.MULTI_LABEL:
        return logits > 0
    return logits.squeeze(-1).float() if kind is Kind.REGRESSION else logits.argmax(-1)
