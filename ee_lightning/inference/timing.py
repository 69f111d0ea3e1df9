"""Times things beside each other, so that what slows the machine down slows all of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

Work = Callable[[], object]
Clock = Callable[[], float]


class Stopwatch:
    """Times work to its end on the device.

    Args:
        device: Where the work is done.
        clock: Gives the time in seconds.
    """

    def __init__(self, device: torch.device, clock: Clock = perf_counter) -> None:
        self.device, self.clock = device, clock

    def __call__(self, work: Work) -> float:
        """Do some work, and give the seconds that it took."""
        self._wait()
        start = self.clock()
        work()
        self._wait()
        return self.clock() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def time_alternately(turns: Sequence[Sequence[Work]], repeats: int, stopwatch: Callable[[Work], float]) -> Tensor:
    """Time several contestants turn by turn, who comes first changing from turn to turn and from repeat to repeat.

    Args:
        turns: What each contestant does in each turn, ``[turns, contestants]``; warmed up beforehand.
        repeats: How often all turns are taken.
        stopwatch: Times work, in seconds.

    Returns:
        Seconds, of shape ``[contestants, repeats, turns]``, in float64.
    """
    seconds = torch.zeros(len(turns[0]), repeats, len(turns), dtype=torch.float64)
    for repeat in range(repeats):
        for turn, work in enumerate(turns):
            in_order = range(len(work))
            for contestant in in_order if (repeat + turn) % 2 == 0 else reversed(in_order):
                seconds[contestant, repeat, turn] = stopwatch(work[contestant])
    return seconds


class Ratio(NamedTuple):
    """A ratio of times over repeats.

    Attributes:
        median: Of the repeats.
        low: Their first quartile.
        high: Their third quartile.
    """

    median: float
    low: float
    high: float


def paired_ratio(slower: Tensor, faster: Tensor) -> Ratio:
    """Compare the totals of each repeat.

    Args:
        slower: Seconds, of shape ``[repeats, turns]``.
        faster: Seconds of what was timed in turn with it, of the same shape.

    Example:
        >>> paired_ratio(torch.tensor([[1.0, 1.0], [2.0, 4.0]]), torch.tensor([[0.5, 0.5], [1.0, 1.0]]))
        Ratio(median=2.5, low=2.25, high=2.75)
    """
    ratios = slower.sum(1) / faster.sum(1)  # [repeats]
    low, median, high = ratios.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=ratios.dtype)).tolist()
    return Ratio(median, low, high)


def latencies(seconds: Tensor) -> tuple[float, float]:
    """Give the median and the 95th percentile.

    Args:
        seconds: Of shape ``[repeats, turns]``.

    Example:
        >>> latencies(torch.tensor([[1.0, 1.5], [2.0, 4.5]]))
        (1.75, 4.125)
    """
    median, p95 = seconds.flatten().quantile(torch.tensor([0.5, 0.95], dtype=seconds.dtype)).tolist()
    return median, p95


@contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Let so many threads share an operation on the processor, and then as many as before.

    Args:
        threads: At least 1.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
