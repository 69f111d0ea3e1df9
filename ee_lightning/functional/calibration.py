"""Temperatures at which the exits' probabilities are most likely to be right."""

import math

import torch
from torch import Tensor

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of a temperature. Where one is reached, no finite temperature above 0 is the most likely."""

HALVINGS = 40


def fit_temperatures(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Fit one temperature per exit on held-out data (`Guo et al. 2017 <https://arxiv.org/abs/1706.04599>`_).

    The temperature :math:`T_m` of exit m minimises the mean over samples n with labels y of
    :math:`-\ln \mathrm{softmax}(z_{m,n} / T_m)(y_n)`. That is convex in :math:`\beta = 1 / T_m`, so its slope rises
    with :math:`\beta`, and halving an interval of :math:`\ln \beta` finds the zero for all exits at once.

    - An exit that is right on every sample is likelier the lower its temperature: it gets the lower bound, 0.05.
    - An exit that knows less than nothing is likelier the higher its temperature: it gets the upper bound, 20.
    - An exit for whose likelihood the temperature makes no difference, because its logits are all equal, gets 1.

    Args:
        logits: Logits of all exits, of shape [exits, samples, classes].
        labels: Class numbers, of shape [samples].

    Returns:
        The temperatures, in float64, of shape [exits].

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]])
        >>> temperature = fit_temperatures(logits, torch.tensor([0, 0, 0, 1]))  # right in three of four
        >>> (logits[0, 0] / temperature).softmax(-1)
        tensor([0.7500, 0.2500], dtype=torch.float64)
    """
    logits = logits.double()
    of_label = logits.gather(-1, labels.expand(len(logits), -1).unsqueeze(-1))  # [exits, samples, 1]
    ahead = (logits - of_label).transpose(1, 2).contiguous()  # [exits, classes, samples]
    low, high = (ahead.new_full((len(ahead),), -math.log(bound)) for bound in (HIGHEST, LOWEST))  # [exits] each
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_beyond = _slope(ahead, middle.exp()) > 0
        low, high = torch.where(is_beyond, low, middle), torch.where(is_beyond, middle, high)
    temperature = (-(low + high) / 2).exp()
    return torch.where((ahead == 0).all(1).all(1), 1.0, temperature)


def _slope(ahead: Tensor, beta: Tensor) -> Tensor:
    """Give the slope along 1/T of the summed negative log-likelihood, of shape [exits]."""
    probabilities = (ahead * beta.view(-1, 1, 1)).softmax(1)  # [exits, classes, samples]
    return (probabilities * ahead).sum((1, 2))
