"""How much the exits of a model differ, and whether it helps, from the classes they predict.

`predictions` are predicted class numbers, of shape [exits, samples], and `labels` the true ones, of shape [samples].
Other shapes, or no prediction, are a ValueError. Measures of pairs of exits are symmetric, in float64, of shape
[exits, exits]; those of information are in bits.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


def pairwise_disagreement(predictions: Tensor) -> Tensor:
    """Return the share of samples for which two exits predict different classes.

    It is read off the classes, so two exits that are wrong in different ways disagree too; with two classes it is the
    disagreement measure of `Kuncheva & Whitaker 2003 <https://doi.org/10.1023/A:1022859003006>`_.

    Example:
        >>> pairwise_disagreement(torch.tensor([[0, 1, 2, 0], [0, 1, 1, 1]]))
        tensor([[0.0000, 0.5000],
                [0.5000, 0.0000]], dtype=torch.float64)
    """
    check_predictions(predictions)
    differing = torch.stack([(row != predictions).sum(-1) for row in predictions])  # [exits, exits]
    return differing.double() / predictions.shape[1]


def q_statistic(predictions: Tensor, labels: Tensor) -> Tensor:
    r"""Return Yule's Q of two exits' being right, between -1 and 1 (`Kuncheva & Whitaker 2003`_).

    .. math:: Q_{jm} = \frac{N_{11} N_{00} - N_{01} N_{10}}{N_{11} N_{00} + N_{01} N_{10}}

    where both exits are right on :math:`N_{11}` samples, both wrong on :math:`N_{00}`, and one alone right on
    :math:`N_{10}` and :math:`N_{01}`. Q is positive for exits that tend to be right on the same samples, negative for
    those wrong on different ones, and 0 where being right is independent: where the two products are equal. That holds
    for 0 = 0 too, when one of the two is right on all samples or on none, so there Q is 0, even of an exit with itself.

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
    """Return the share of samples on which two exits are both wrong (Giacinto & Roli 2001); of one exit its error rate.

    Example:
        >>> double_fault(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0]]), torch.tensor([1, 1, 1, 1, 1]))
        tensor([[0.4000, 0.2000],
                [0.2000, 0.4000]], dtype=torch.float64)
    """
    wrong = ~_right(predictions, labels)
    return _count_both(wrong, wrong).double() / len(labels)


def overthinking(predictions: Tensor, labels: Tensor) -> float:
    """Return the share of samples that some earlier exit had right and the last has wrong (Kaya et al. 2019).

    It is what the oracle, which leaves at the first exit that is right, gains in accuracy over the full model; 0 where
    there is only one exit.

    Example:
        >>> overthinking(torch.tensor([[0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1]]), torch.tensor([1, 1, 1, 1]))
        0.25
    """
    right = _right(predictions, labels)
    return (right[:-1].any(0) & ~right[-1]).double().mean().item()


def late_correction(predictions: Tensor, labels: Tensor) -> float:
    """Return the share of samples that the first exit has wrong and the last right: what the later layers correct.

    Example:
        >>> late_correction(torch.tensor([[0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1]]), torch.tensor([1, 1, 1, 1]))
        0.25
    """
    right = _right(predictions, labels)
    return (~right[0] & right[-1]).double().mean().item()


def check_predictions(predictions: Tensor, labels: Tensor | None = None) -> None:
    """Raise a ValueError for other shapes, or no prediction."""
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


class InformationSplit(NamedTuple):
    """The parts of the information that all exits together have about the label.

    Attributes:
        relevancy: The information of the exits one by one, with repetitions counted each time.
        redundancy: What every exit repeats of the exits before it.
        conditional_redundancy: What it repeats of them among samples of the same label.
        information: The information of all exits together: relevancy - redundancy + conditional redundancy.
    """

    relevancy: float
    redundancy: float
    conditional_redundancy: float
    information: float


def information_split(predictions: Tensor, labels: Tensor) -> InformationSplit:
    r"""Split the information that all exits together have about the label (Brown 2009; Zhou & Li 2010).

    .. math:: I(p_{1..M}; Y) = \sum_{m=1}^{M} I(p_m; Y) - \sum_{m=2}^{M} I(p_m; p_{1..m-1})
        + \sum_{m=2}^{M} I(p_m; p_{1..m-1} \mid Y)

    with the class :math:`p_m` that exit m predicts, the classes :math:`p_{1..m}` of exits 1 to m, and the label Y. The
    terms are relevancy, redundancy and conditional redundancy. All are plug-in estimates: the shares of samples stand
    for the probabilities, so that the split holds exactly. They are biased, mostly upwards and the more so the more
    joint states there are for a sample: of 12 exits that say nothing of the label, 872 samples give 0.9 bits. Take
    `information_bias` off, and don't tell what is left where the `joint_states` are not far below the samples.

    Example:
        >>> information_split(torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]), torch.tensor([0, 1, 1, 0]))
        InformationSplit(relevancy=0.0, redundancy=0.0, conditional_redundancy=1.0, information=1.0)
    """
    return _split(predictions, labels, _entropy)


def information_bias(predictions: Tensor, labels: Tensor) -> InformationSplit:
    """Return how much too high each term of `information_split` is (Miller 1955, "Miller-Madow").

    The plug-in entropy of K observed states in N samples comes out about :math:`(K - 1) / 2N` nats too low. Every term
    is a sum of entropies, and its bias is the same sum of theirs. States that exist but were never seen are not in K,
    so the true bias is larger, by far where nearly every sample has a joint state of its own.

    Example:
        >>> bias = information_bias(torch.tensor([[0, 0, 1, 1]]), torch.tensor([0, 1, 1, 0]))
        >>> round(bias.information, 4)
        0.1803
    """
    return _split(predictions, labels, _entropy_bias)


def joint_states(predictions: Tensor, labels: Tensor) -> int:
    """Return how many distinct combinations of all exits' classes and the label occur.

    Example:
        >>> joint_states(torch.tensor([[0, 0, 1, 1], [0, 0, 0, 1]]), torch.tensor([0, 0, 1, 0]))
        3
    """
    check_predictions(predictions, labels)
    return int(torch.unique(torch.cat([predictions, labels.unsqueeze(0)]), dim=1).shape[1])


def _split(predictions: Tensor, labels: Tensor, measure: Callable[[Tensor], float]) -> InformationSplit:
    """Split the information, with `measure` taking the states [samples] of a variable to its entropy."""
    check_predictions(predictions, labels)

    def shared(one: Tensor, other: Tensor) -> float:
        return measure(one) + measure(other) - measure(_joint(one, other))

    label = _numbered(labels)
    before = torch.zeros_like(label)
    relevancy = redundancy = conditional_redundancy = 0.0
    for states in _numbered(predictions):  # [samples]
        relevant = shared(states, label)
        relevancy += relevant
        redundancy += shared(states, before)
        conditional_redundancy += shared(states, _joint(before, label)) - relevant
        before = _joint(before, states)
    return InformationSplit(relevancy, redundancy, conditional_redundancy, shared(before, label))


def _joint(one: Tensor, other: Tensor) -> Tensor:
    """Number the pairs of states that occur; both must be numbered themselves."""
    return _numbered(one * (other.max() + 1) + other)  # [samples]


def _numbered(states: Tensor) -> Tensor:
    """Number the states that occur from 0, so that the numbers stay below that of the samples, however many exits."""
    numbers: Tensor = torch.unique(states, return_inverse=True)[1]  # of the shape of `states`
    return numbers


def _entropy(states: Tensor) -> float:
    shares = states.bincount().double() / len(states)  # [states]
    return float(torch.special.entr(shares).sum()) / math.log(2)


def _entropy_bias(states: Tensor) -> float:
    observed = int(states.bincount().count_nonzero())
    return (1 - observed) / (2 * len(states) * math.log(2))
