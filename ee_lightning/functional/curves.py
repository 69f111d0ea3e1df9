"""The exact accuracy-speed curve of a criterion, short thresholds between its scores, and points read off it.

A curve's points run from slow to fast: `mean_exit` is the mean number of executed layers at each, descending from the
number of layers, and `score` the metric, the higher the better, both of shape [points].
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ee_lightning.functional.kind import where_rows

MOST_DECIMALS = 300
ROUNDING = 1e-9


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
    `low` and `high` above it are finite and of any one shape. The decimals are of that shape, in float64, above `low`
    and at most `high`, which they are only where no number of float64 lies between the two.

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
    decimals = -1 - math.ceil(math.log10(largest))  # at which all are rounded to 0, the shortest
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


class OperatingPoints(NamedTuple):
    """Every operating point there is, from slow to fast.

    Attributes:
        attained: Infinity (no sample leaves early), then the scores at which an outcome changes, descending, in
            float64, of shape [points]. Each is a threshold, and so is every number from it down to above the next.
        mean_exit: In float64, of shape [points].
        counts: Summed statistics of the predictions at each threshold, of shape [points, statistics].
    """

    attained: Tensor
    mean_exit: Tensor
    counts: Tensor


def operating_points(
    scores: Tensor,
    labels: Tensor,
    fallback: Tensor,
    count: Callable[[Tensor, Tensor], Tensor],
    layers_of_exits: Sequence[int] = (),
) -> OperatingPoints:
    """Find every operating point of the rule "leave at the first exit whose score reaches the threshold".

    As the threshold falls, a sample moves only where the running maximum of its scores rises: at that value it moves to
    that exit, from the next exit that beats it, or from the last exit and the fallback label if none does. Sorting
    these moves gives the whole curve in O(exits * samples * log(exits * samples)). Applying an attained score as
    the threshold, with ``score >= threshold``, gives exactly the outcome that was counted for it.

    Args:
        scores: Score of every sample after each exit, of shape [exits, samples]. A score of -inf never leaves.
        labels: Class or value predicted for a sample that leaves at that exit, of shape [exits, samples], or whether
            each label is, of shape [exits, samples, labels].
        fallback: The same for a sample that no score lets leave, of shape [samples] or [samples, labels].
        count: Turns predictions [events] or [events, labels] and the indices [events] of the samples they are made
            for into additive statistics [events, statistics], in int64 where the sums are to be exact.
        layers_of_exits: The layer after which each exit stands; if none are given, exit m stands after layer m.

    Raises:
        ValueError: If there is no score, or one is NaN or +inf (which no finite threshold could hold back).

    Example:
        >>> right = torch.tensor([0, 1])
        >>> points = operating_points(
        ...     scores=torch.tensor([[0.9, 0.2], [0.5, 0.7]]),
        ...     labels=torch.tensor([[0, 0], [0, 1]]),
        ...     fallback=torch.tensor([0, 1]),
        ...     count=lambda predictions, samples: (predictions == right[samples]).long().unsqueeze(-1),
        ... )
        >>> points.mean_exit, points.counts.squeeze(-1)
        (tensor([2.0000, 1.5000, 1.5000, 1.0000], dtype=torch.float64), tensor([2, 2, 2, 1]))
    """
    _check(scores)
    scores = scores.double()
    num_exits, num_samples = scores.shape
    sample, exit_index = _rises(scores)  # [events] each
    executed = torch.tensor(layers_of_exits or range(1, num_exits + 1), device=scores.device)  # [exits]
    layer, label = executed[exit_index], labels[exit_index, sample]  # [events], [events] or [events, labels]

    is_highest = torch.ones_like(sample, dtype=torch.bool)
    is_highest[:-1] = sample[1:] != sample[:-1]
    layer_before = torch.where(is_highest, executed[-1], layer.roll(-1))
    label_before = where_rows(is_highest, fallback[sample], label.roll(-1, 0))  # like label

    distinct, rank = torch.unique(scores[exit_index, sample], return_inverse=True)  # [points - 1] ascending, [events]
    point = len(distinct) - rank

    everyone = torch.arange(num_samples, device=scores.device)
    start = count(fallback, everyone).sum(0, keepdim=True)  # [1, statistics]
    changes = torch.cat([start, start.new_zeros(len(distinct), start.shape[1])])  # [points, statistics]
    changes.index_add_(0, point, count(label, sample) - count(label_before, sample))

    layers = torch.zeros(len(distinct) + 1, dtype=torch.int64, device=scores.device)  # [points]
    layers[0] = executed[-1] * num_samples
    layers.index_add_(0, point, layer - layer_before)

    attained = torch.cat([distinct.new_full((1,), torch.inf), distinct.flip(0)])  # [points]
    return OperatingPoints(attained, layers.cumsum(0).double() / num_samples, changes.cumsum(0))


def score_at(mean_exit: Tensor, score: Tensor, target_mean_exit: float) -> float:
    """Read a curve at a mean number of executed layers, linearly between the two neighbouring operating points.

    For accuracy this is what drawing one of the two thresholds at random for each sample gives in expectation. Of
    points with the same mean exit the first one counts, which has the highest threshold. Beyond the ends of the curve
    the score is NaN. A relative 1e-9 beyond still counts as the end, so that a mean exit survives being turned into a
    speed-up and back.

    Example:
        >>> score_at(torch.tensor([2.0, 1.5, 1.0]), torch.tensor([0.9, 0.75, 0.5]), 1.25)
        0.625
    """
    layers, heights = _knots(mean_exit, score)
    fastest, slowest = layers[0].item(), layers[-1].item()
    if not fastest * (1 - ROUNDING) <= target_mean_exit <= slowest * (1 + ROUNDING):
        return math.nan
    target = layers.new_tensor(target_mean_exit).clamp(fastest, slowest)
    slower = int(torch.searchsorted(layers, target))
    if layers[slower] == target:
        return heights[slower].item()
    weight = (target - layers[slower - 1]) / (layers[slower] - layers[slower - 1])
    return torch.lerp(heights[slower - 1], heights[slower], weight).item()


def telling_points(mean_exit: Tensor, scores: Sequence[Tensor]) -> Tensor:
    """Return the positions of the points that a plot or a choice can tell apart, ascending, of shape [telling].

    Of all points whose mean exits share a thousandth of the whole depth these are the slowest, and those with the
    highest and the lowest of each metric; and the fastest of all. `scores` are those metrics, each of shape [points].

    Example:
        >>> mean_exit = torch.tensor([6.0, 3.0005, 3.0004, 3.0003, 3.0002, 1.0])
        >>> telling_points(mean_exit, [torch.tensor([0.9, 0.8, 0.8, 0.82, 0.81, 0.5])])
        tensor([0, 1, 3, 5])
    """
    share = (mean_exit * (_SHARES / mean_exit[0])).floor()  # [points]
    group = torch.unique_consecutive(share, return_inverse=True)[1]  # [points]
    kept = torch.zeros_like(group, dtype=torch.bool)
    kept[0] = kept[-1] = True
    kept[1:] |= group[1:] != group[:-1]
    for score in scores:
        for extreme in ("amax", "amin"):
            bound = score.new_zeros(int(group[-1]) + 1).scatter_reduce(0, group, score, extreme, include_self=False)
            at_bound = (score == bound[group]).nonzero().squeeze(1)  # [points there]
            of_group = group[at_bound]
            kept[at_bound[:1]] = True
            kept[at_bound[1:][of_group[1:] != of_group[:-1]]] = True
    return kept.nonzero().squeeze(1)


_SHARES = 1000


def area(mean_exit: Tensor, score: Tensor, fixed_mean_exit: Tensor, fixed_score: Tensor) -> float:
    """Return the mean score over all costs that the exits alone span: the area under `score_at`, normalised.

    Where a curve stops before the first exit, it is continued by the fixed exits, the curve of `fixed_mean_exit` and
    `fixed_score`: who wants to be faster than a criterion can be has to take an exit for all samples. So all criteria
    are compared over the same costs. With one exit it is the score itself.

    Example:
        >>> fixed = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0.8, 0.7, 0.5])
        >>> round(area(torch.tensor([3.0, 2.0]), torch.tensor([0.8, 0.8]), *fixed), 4)  # 0.8 down to 2, then 0.7 to 0.5
        0.7
    """
    layers, heights = _knots(fixed_mean_exit, fixed_score)
    span = layers[-1] - layers[0]
    fastest = mean_exit[-1].clamp(layers[0], layers[-1]).double()
    at_fastest = layers.new_tensor(score_at(fixed_mean_exit, fixed_score, fastest.item()))
    slower = layers < fastest
    reached = torch.trapezoid(*reversed(_knots(mean_exit, score)))
    beyond = torch.trapezoid(torch.cat([heights[slower], at_fastest[None]]), torch.cat([layers[slower], fastest[None]]))
    return ((reached + beyond) / span).item() if span > 0 else score[0].item()


def _check(scores: Tensor) -> None:
    if scores.numel() == 0:
        raise ValueError(f"Expected argument `scores` to hold a score, but got shape {list(scores.shape)}.")
    refused = (scores.isnan() | scores.isposinf()).nonzero()  # [refused, 2]
    if len(refused) > 0:
        exit_index, sample = refused[0].tolist()
        raise ValueError(
            f"Expected argument `scores` to hold neither NaN nor +inf, but got {scores[exit_index, sample].item()} "
            f"at exit {exit_index + 1} for the sample at index {sample}."
        )


def _rises(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the running maximum rises: samples and exit indices, sample by sample and from the first exit on."""
    best = scores.cummax(0).values  # [exits, samples]
    best_before = torch.cat([torch.full_like(best[:1], -torch.inf), best[:-1]])
    samples, exit_indices = (scores > best_before).T.nonzero(as_tuple=True)  # [events] each
    return samples, exit_indices


def _knots(mean_exit: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """Keep the first of the points that share a mean exit, and turn the curve to run from fast to slow, in float64."""
    is_first = torch.ones_like(mean_exit, dtype=torch.bool)
    is_first[1:] = mean_exit[1:] != mean_exit[:-1]
    return mean_exit[is_first].double().flip(0), score[is_first].double().flip(0)  # [knots] each


def halves(num_samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Split samples at random, one half to choose on and one to report on, as ascending indices.

    Of an odd number the second half gets one more.

    Example:
        >>> [len(half) for half in halves(5, seed=0)]
        [2, 3]
    """
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))  # [samples]
    first, second = order.tensor_split([num_samples // 2])
    return first.sort().values, second.sort().values


def first_least(allowed: Tensor, *keys: Tensor) -> int | None:
    """Return the position of the allowed point with the least first key, of those with the least second key.

    Of points that are equal by all keys [points] it is the first, and None where `allowed`, in bool, allows no point.

    Example:
        >>> mean_exit, score = torch.tensor([3.0, 2.0, 1.0]), torch.tensor([0.9, 0.8, 0.5])
        >>> first_least(score >= 0.75, mean_exit, -score)  # the fastest, and of equally fast ones the best
        1
    """
    if not allowed.any():
        return None
    for key in keys:
        allowed = allowed & (key == key[allowed].min())
    return int(allowed.nonzero()[0])
