"""How samples and cohorts are put together into batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf

import torch


@dataclass(frozen=True)
class Packing:
    """Says which neighbours to put together, so that what a layer computes costs the least.

    Attributes:
        max_tokens: The most tokens a batch may have, padding included; what is larger alone stays alone.
        overhead: What a batch costs beside its tokens, in tokens: as much padding is worth one batch less.
    """

    max_tokens: int
    overhead: int

    @classmethod
    def on(cls, device: torch.device, max_tokens: int | None = None) -> "Packing":
        """Give what suits a device: a processor is busy with few tokens, an accelerator needs many."""
        most, overhead = (512, 32) if device.type == "cpu" else (32768, 2048)
        return cls(max_tokens or most, overhead)

    def __call__(self, sizes: Sequence[tuple[int, int]]) -> list[range]:
        """Give the neighbours to put together.

        Neighbours of equal length are taken together as far as they go into a batch; of all ways to put these
        together, the one of the fewest tokens is found, padding and overheads included.

        Args:
            sizes: Number of samples and of tokens of the longest, of what is to be put together, longest first.

        Returns:
            Ranges that cover all of them in their order.

        Example:
            >>> Packing(max_tokens=20, overhead=3)([(1, 9), (1, 8), (1, 3), (4, 2), (1, 2)])
            [range(0, 2), range(2, 3), range(3, 5)]
        """
        if len(sizes) < 2:
            return [range(len(sizes))] if sizes else []
        blocks = self._of_equal_length(sizes)
        least, first = [0.0], [0]  # the cost of the blocks before each place, and where the last batch of them begins
        for stop in range(1, len(blocks) + 1):
            cost, begin, samples = inf, stop, 0
            for start in reversed(range(stop)):
                samples += blocks[start][1]
                tokens = samples * blocks[start][2]
                if tokens > self.max_tokens and begin < stop:
                    break
                if least[start] + self.overhead + tokens < cost:
                    cost, begin = least[start] + self.overhead + tokens, start
            least.append(cost)
            first.append(begin)
        packs, stop = [], len(blocks)
        while stop:
            packs.append(range(blocks[first[stop]][0].start, blocks[stop - 1][0].stop))
            stop = first[stop]
        return packs[::-1]

    def _of_equal_length(self, sizes: Sequence[tuple[int, int]]) -> list[tuple[range, int, int]]:
        """Give ranges of equal length that go into a batch, with their numbers of samples and of tokens."""
        blocks: list[tuple[range, int, int]] = []
        place = 0
        for length, group in groupby(sizes, key=lambda size: size[1]):
            start, samples = place, 0
            for count, _ in group:
                if place > start and (samples + count) * length > self.max_tokens:
                    blocks.append((range(start, place), samples, length))
                    start, samples = place, 0
                place, samples = place + 1, samples + count
            blocks.append((range(start, place), samples, length))
        return blocks
