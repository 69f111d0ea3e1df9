"""Thresholds that separate scores: short decimals, as far from the scores on both sides as they can be."""

import math

import torch
from torch import Tensor

MOST_DECIMALS = 300


def separators(attained: Tensor) -> Tensor:
    """Return, for each attained score, the threshold that it reaches and the next lower one does not.

    A threshold that equals a score is reached or missed by rounding alone as soon as the score is computed elsewhere.
    One that is half-way to the next score changes no outcome and has room on both sides: see `shortest_decimals`. Below
    the lowest score there is no other: its threshold is half-way to as far below it as the highest score is above it,
    or as zero is away from it, whichever is more; a lone score of zero has room down to -1.

    Args:
        attained: Infinity, which no sample attains, then distinct scores, descending, of shape [points].

    Returns:
        Infinity, then the thresholds, descending, in float64, of shape [points].

    Example:
        >>> separators(torch.tensor([torch.inf, 3.0, 2.0, 1.0, 0.0])).tolist()  # counts, such as those of patience
        [inf, 2.5, 1.5, 0.5, -2.0]
        >>> separators(torch.tensor([torch.inf, 0.97, 0.9, 0.52])).tolist()
        [inf, 0.94, 0.7, 0.3]
    """
    scores = attained[1:].double()  # [points - 1]
    if len(scores) == 0:
        return attained.double()
    highest, lowest = scores[:1], scores[-1:]  # [1] each
    room = torch.maximum(highest - lowest, lowest.abs())  # [1]
    below = lowest - torch.where(room > 0, room, 1)  # [1]
    return torch.cat([attained[:1].double(), shortest_decimals(torch.cat([scores[1:], below]), scores)])


def shortest_decimals(low: Tensor, high: Tensor) -> Tensor:
    """Return the shortest decimal in the middle half between two numbers, and of several the one nearest to the middle.

    So a quarter of the distance is left on either side, and what is written as text reads back as the same number.

    Args:
        low: Finite, of any shape.
        high: Above `low`, of the same shape.

    Returns:
        In float64, of the same shape: above `low`, and at most `high`, which it is only where no number of float64 lies
        between the two.

    Example:
        >>> shortest_decimals(torch.tensor([1.0, 0.9412, -0.3]), torch.tensor([1.189207, 0.9431, 0.5])).tolist()
        [1.1, 0.942, 0.0]
    """
    low, high = low.double().flatten(), high.double().flatten()  # [numbers] each
    quarter = high / 4 - low / 4  # [numbers]
    least, middle, most = low + quarter, low + 2 * quarter, high - quarter  # [numbers] each
    found = torch.where((low < middle) & (middle < high), middle, high)  # [numbers]
    left = torch.arange(len(low), device=low.device)  # [left], those for which no decimal was found yet
    largest = max(abs(middle).max().item(), 1e-300) if len(low) else 1.0
    decimals = -math.ceil(math.log10(largest))
    while len(left) and decimals <= MOST_DECIMALS:
        rounded = _round(middle[left], decimals)  # [left]
        fits = (least[left] <= rounded) & (rounded <= most[left]) & (low[left] < rounded) & (rounded < high[left])
        found[left[fits]] = rounded[fits]
        left, decimals = left[~fits & (rounded != middle[left])], decimals + 1
    return found


def _round(numbers: Tensor, decimals: int) -> Tensor:
    """Return decimals that are, up to 22 of them, the nearest there are in float64: powers of ten are exact so far."""
    unit = 10.0 ** abs(decimals)
    rounded = (numbers * unit).round() / unit if decimals >= 0 else (numbers / unit).round() * unit
    return rounded + 0.0  # no -0.0
