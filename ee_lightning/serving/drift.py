"""Whether rows leave where they left when the threshold was chosen."""

from collections import deque
from collections.abc import Sequence
from math import log

FEWEST = 100
"""From how many rows on there is a figure."""


def population_stability_index(expected: Sequence[int], seen: Sequence[int]) -> float:
    """Return Σ (s − e) ln(s / e) over the exits, of the shares expected and seen; 0 where they are equal.

    Half a row is added to every exit, as an empty one would make it infinite. By the usual reading up to 0.1 is no
    change, and from 0.25 on a large one. Without any change it is about (exits − 1) (1 / rows then + 1 / rows now).

    Args:
        expected: How many rows left at each exit, ``[exits]``.
        seen: The same of other rows.

    Example:
        >>> round(population_stability_index([50, 50], [500, 500]), 6)
        0.0
        >>> round(population_stability_index([50, 50], [10, 90]), 2)
        0.85
    """
    shares = [[(count + 0.5) / (sum(counts) + 0.5 * len(counts)) for count in counts] for counts in (expected, seen)]
    return float(sum((s - e) * log(s / e) for e, s in zip(*shares, strict=True)))


class ExitDrift:
    """Compares where the latest rows left with where rows left that the operating point was measured on.

    Args:
        expected: How many of those left at each exit, ``[exits]``; None where that is not known.
        num_exits: Number of exits.
        window: How many of the latest rows count.
    """

    def __init__(self, expected: Sequence[int] | None, num_exits: int, window: int = 1000) -> None:
        self._expected, self._seen = expected, [0] * num_exits
        self._latest = deque[int](maxlen=window)

    def add(self, exit_layer: int) -> None:
        """Count a row that left at an exit, counted from 1."""
        if len(self._latest) == self._latest.maxlen:
            self._seen[self._latest[0] - 1] -= 1
        self._latest.append(exit_layer)
        self._seen[exit_layer - 1] += 1

    def restart(self) -> None:
        """Forget all rows, as where the threshold changed."""
        self._latest.clear()
        self._seen = [0] * len(self._seen)

    @property
    def figure(self) -> float | None:
        """The population stability index; None without an operating point, or with few rows."""
        if self._expected is None or len(self._latest) < FEWEST:
            return None
        return population_stability_index(self._expected, self._seen)
