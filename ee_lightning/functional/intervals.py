"""Confidence intervals of shares, which hold where a bootstrap does not: near 0, near 1, and for few samples."""

import math

from scipy import special


def share_interval(successes: int, samples: int, level: float) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper & Pearson 1934), which holds it at least as often as `level` says.

    Example:
        >>> low, high = share_interval(50, 50, 0.95)  # all of 50 are no proof that it is 1
        >>> round(low, 4), high
        (0.9289, 1.0)
    """
    tail, failures = (1 - level) / 2, samples - successes
    low = special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return float(low), float(high)


def paired_difference_interval(first: int, second: int, samples: int, level: float) -> tuple[float, float]:
    """Return an interval of the difference of two shares of the same samples (Bonett & Price 2012).

    `first` and `second` are the samples on which only the one and only the other succeeds; one more of each keeps the
    interval from having no width where they are few.

    Example:
        >>> low, high = paired_difference_interval(0, 0, 50, 0.95)
        >>> round(low, 4), round(high, 4)
        (-0.0533, 0.0533)
    """
    one, other = (first + 1) / (samples + 2), (second + 1) / (samples + 2)
    half = special.ndtri((1 + level) / 2) * math.sqrt((one + other - (one - other) ** 2) / (samples + 2))
    return max(-1.0, float(one - other - half)), min(1.0, float(one - other + half))
