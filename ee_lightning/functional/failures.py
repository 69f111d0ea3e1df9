"""When leaving is right, and how well scores tell it: failure prediction for early exit (EEFP, Kubaty et al. 2026)."""

import math

import torch
from torch import Tensor


def leaving_is_right(right: Tensor) -> Tensor:
    """Return where no later exit would help: where this one is right, or no later one is; the last always, in bool.

    `right` is whether each exit is right, of shape [exits, samples].

    Example:
        >>> leaving_is_right(torch.tensor([[False, True, False], [True, False, False]]))
        tensor([[False,  True,  True],
                [ True,  True,  True]])
    """
    later = right.flip(0).cummax(0).values.flip(0).roll(-1, 0)  # [exits, samples]
    later[-1] = False
    return right | ~later


def aurocs(scores: Tensor, holds: Tensor) -> list[float]:
    """Return, exit by exit, how often a sample where it holds scores above one where it does not; a tie counts half.

    Where it holds for all or for none, it is NaN. Both are of shape [exits, samples], `holds` in bool.

    Example:
        >>> aurocs(torch.tensor([[0.9, 0.4, 0.4], [0.5, 0.6, 0.7]]), torch.tensor([[1, 1, 0], [1, 1, 1]]).bool())
        [0.75, nan]
    """
    return [_auroc(score, held) for score, held in zip(scores.double(), holds, strict=True)]


def _auroc(scores: Tensor, holds: Tensor) -> float:
    above, below = scores[holds], scores[~holds].sort().values
    if len(above) == 0 or len(below) == 0:
        return math.nan
    beaten, tied_too = (torch.searchsorted(below, above, right=right) for right in (False, True))
    return ((beaten + tied_too).double().mean() / (2 * len(below))).item()
