"""What the exits' predicted classes tell of the label, and how much of it they only repeat."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ee_lightning.functional.diversity import check_predictions


class InformationSplit(NamedTuple):
    """The parts of what the exits together tell of the label, in bits.

    Attributes:
        relevancy: What the exits tell one by one, with what they repeat counted each time.
        redundancy: What every exit repeats of the exits before it.
        conditional_redundancy: What it repeats of them among samples of the same label.
        information: What all exits together tell: relevancy - redundancy + conditional redundancy.
    """

    relevancy: float
    redundancy: float
    conditional_redundancy: float
    information: float


def information_split(predictions: Tensor, labels: Tensor) -> InformationSplit:
    r"""Split what the exits together tell of the label (Brown 2009; Zhou & Li 2010).

    .. math:: I(p_{1..M}; Y) = \sum_{m=1}^{M} I(p_m; Y) - \sum_{m=2}^{M} I(p_m; p_{1..m-1})
        + \sum_{m=2}^{M} I(p_m; p_{1..m-1} \mid Y)

    with the class :math:`p_m` that exit m predicts, the classes :math:`p_{1..m}` of exits 1 to m, and the label Y. The
    terms are relevancy, redundancy and conditional redundancy. All are plug-in estimates: the shares of samples stand
    for the probabilities, so that the split holds exactly. They are biased, mostly upwards and the more so the more
    joint states there are for a sample, so compare them only between models seen on the same number of samples, and
    beside `information_bias`.

    Args:
        predictions: Predicted class numbers, of shape [exits, samples].
        labels: True class numbers, of shape [samples].

    Returns:
        The terms and their outcome, in bits.

    Raises:
        ValueError: If a shape is another, or there is no prediction.

    Example:
        >>> information_split(torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]), torch.tensor([0, 1, 1, 0]))
        InformationSplit(relevancy=0.0, redundancy=0.0, conditional_redundancy=1.0, information=1.0)
    """
    return _split(predictions, labels, _entropy)


def information_bias(predictions: Tensor, labels: Tensor) -> InformationSplit:
    r"""Give the size of the bias of `information_split` (Miller 1955, "Miller-Madow").

    The plug-in entropy of K observed states in N samples comes out about :math:`(K - 1) / 2N` nats too low. Every term
    is a sum of entropies, and its bias is the same sum of theirs. States that exist but were never seen are not in K,
    so where nearly every sample has a joint state of its own the true bias is larger than this.

    Args:
        predictions: Predicted class numbers, of shape [exits, samples].
        labels: True class numbers, of shape [samples].

    Returns:
        How much too high each estimate is, in bits; subtract it to correct.

    Raises:
        ValueError: If a shape is another, or there is no prediction.

    Example:
        >>> bias = information_bias(torch.tensor([[0, 0, 1, 1]]), torch.tensor([0, 1, 1, 0]))
        >>> round(bias.information, 4)
        0.1803
    """
    return _split(predictions, labels, _entropy_bias)


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
