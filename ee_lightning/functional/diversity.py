"""How much the exits of a model differ, and whether it helps, from the classes they predict."""

import torch
from torch import Tensor


def pairwise_disagreement(predictions: Tensor) -> Tensor:
    """Give the share of samples for which two exits predict different classes.

    It is read off the classes, so two exits that are wrong in different ways disagree too; with two classes it is the
    disagreement measure of `Kuncheva & Whitaker 2003 <https://doi.org/10.1023/A:1022859003006>`_.

    Args:
        predictions: Predicted class numbers, of shape [exits, samples].

    Returns:
        Shares between 0 and 1, symmetric and with 0 on the diagonal, in float64, of shape [exits, exits].

    Raises:
        ValueError: If the shape is another, or holds no prediction.

    Example:
        >>> pairwise_disagreement(torch.tensor([[0, 1, 2, 0], [0, 1, 1, 1]]))
        tensor([[0.0000, 0.5000],
                [0.5000, 0.0000]], dtype=torch.float64)
    """
    check_predictions(predictions)
    differing = torch.stack([(row != predictions).sum(-1) for row in predictions])  # [exits, exits]
    return differing.double() / predictions.shape[1]


def q_statistic(predictions: Tensor, labels: Tensor) -> Tensor:
    r"""Give Yule's Q of two exits' being right (`Kuncheva & Whitaker 2003`_).

    .. math:: Q_{jm} = \frac{N_{11} N_{00} - N_{01} N_{10}}{N_{11} N_{00} + N_{01} N_{10}}

    where both exits are right on :math:`N_{11}` samples, both wrong on :math:`N_{00}`, and one alone right on
    :math:`N_{10}` and :math:`N_{01}`. Q is positive for exits that tend to be right on the same samples, negative for
    those wrong on different ones, and 0 where being right is independent: where the two products are equal. That holds
    for 0 = 0 too, when one of the two is right on all samples or on none, so there Q is 0, even of an exit with itself.

    Args:
        predictions: Predicted class numbers, of shape [exits, samples].
        labels: True class numbers, of shape [samples].

    Returns:
        Values between -1 and 1, symmetric, in float64, of shape [exits, exits].

    Raises:
        ValueError: If a shape is another, or there is no prediction.

    Example:
        >>> q_statistic(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0]]), torch.tensor([1, 1, 1, 1, 1]))
        tensor([[1.0000, 0.3333],
                [0.3333, 1.0000]], dtype=torch.float64)

    .. _Kuncheva & Whitaker 2003: https://doi.org/10.1023/A:1022859003006
    """
    right = _right(predictions, labels)
    alone = _count_both(right, ~right)  # [exits, exits]
    alike = _count_both(right, right) * _count_both(~right, ~right)  # [exits, exits]
    unlike = alone * alone.T
    return torch.where(alike == unlike, 0.0, (alike - unlike).double() / (alike + unlike))


def double_fault(predictions: Tensor, labels: Tensor) -> Tensor:
    """Give the share of samples on which two exits are both wrong (Giacinto & Roli 2001).

    Args:
        predictions: Predicted class numbers, of shape [exits, samples].
        labels: True class numbers, of shape [samples].

    Returns:
        Shares between 0 and 1, symmetric and with each exit's error rate on the diagonal, in float64, of shape
        [exits, exits].

    Raises:
        ValueError: If a shape is another, or there is no prediction.

    Example:
        >>> double_fault(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0]]), torch.tensor([1, 1, 1, 1, 1]))
        tensor([[0.4000, 0.2000],
                [0.2000, 0.4000]], dtype=torch.float64)
    """
    wrong = ~_right(predictions, labels)
    return _count_both(wrong, wrong).double() / len(labels)


def overthinking(predictions: Tensor, labels: Tensor) -> float:
    """Give the share of samples that some earlier exit had right and the last has wrong (Kaya et al. 2019).

    It is what the oracle, which leaves at the first exit that is right, gains in accuracy over the full model.

    Args:
        predictions: Predicted class numbers, of shape [exits, samples].
        labels: True class numbers, of shape [samples].

    Returns:
        A share between 0 and 1; 0 where there is only one exit.

    Raises:
        ValueError: If a shape is another, or there is no prediction.

    Example:
        >>> overthinking(torch.tensor([[0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1]]), torch.tensor([1, 1, 1, 1]))
        0.25
    """
    right = _right(predictions, labels)
    return (right[:-1].any(0) & ~right[-1]).double().mean().item()


def late_correction(predictions: Tensor, labels: Tensor) -> float:
    """Give the share of samples that the first exit has wrong and the last right: what the later layers mend.

    Args:
        predictions: Predicted class numbers, of shape [exits, samples].
        labels: True class numbers, of shape [samples].

    Returns:
        A share between 0 and 1; 0 where there is only one exit.

    Raises:
        ValueError: If a shape is another, or there is no prediction.

    Example:
        >>> late_correction(torch.tensor([[0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1]]), torch.tensor([1, 1, 1, 1]))
        0.25
    """
    right = _right(predictions, labels)
    return (~right[0] & right[-1]).double().mean().item()


def check_predictions(predictions: Tensor, labels: Tensor | None = None) -> None:
    """Refuse predictions that are not [exits, samples] or are none, and labels that don't go with them.

    Raises:
        ValueError: If it is so.
    """
    if predictions.ndim != 2 or predictions.numel() == 0:
        raise ValueError(
            f"Expected argument `predictions` of shape [exits, samples], but got {list(predictions.shape)}."
        )
    if labels is not None and labels.shape != predictions.shape[1:]:
        raise ValueError(
            f"Expected argument `labels` of shape {list(predictions.shape[1:])}, but got {list(labels.shape)}."
        )


def _right(predictions: Tensor, labels: Tensor) -> Tensor:
    check_predictions(predictions, labels)
    return predictions == labels  # [exits, samples]


def _count_both(one: Tensor, other: Tensor) -> Tensor:
    """Count, for rows m and j of two truth tables [exits, samples], the samples that hold in both."""
    return torch.stack([(row & other).sum(-1) for row in one])  # [exits, exits]
