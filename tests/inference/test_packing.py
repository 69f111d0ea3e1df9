"""How samples are put together: every way of doing it beside the one that is taken."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_lightning.inference.batches import Packing

Sizes = list[tuple[int, int]]
sizes_of_any_length = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 12)), max_size=9).map(
    lambda sizes: sorted(sizes, key=lambda size: -size[1])
)
sizes_of_different_lengths = sizes_of_any_length.map(
    lambda sizes: list({length: (n, length) for n, length in sizes}.values())
)


def tokens(sizes: Sizes, pack: range) -> int:
    return sum(sizes[place][0] for place in pack) * sizes[pack.start][1]


def cost(sizes: Sizes, packs: Sequence[range], packing: Packing) -> int:
    return sum(tokens(sizes, pack) + packing.overhead for pack in packs)


def all_ways(start: int, stop: int) -> Iterator[list[range]]:
    if start == stop:
        yield []
    for end in range(start + 1, stop + 1):
        yield from ([range(start, end), *rest] for rest in all_ways(end, stop))


@given(sizes_of_different_lengths, st.integers(1, 40), st.integers(0, 20))
def test_no_other_way_costs_less(sizes: Sizes, max_tokens: int, overhead: int) -> None:
    packing = Packing(max_tokens, overhead)
    allowed = [
        cost(sizes, packs, packing)
        for packs in all_ways(0, len(sizes))
        if all(len(pack) == 1 or tokens(sizes, pack) <= max_tokens for pack in packs)
    ]
    assert cost(sizes, packing(sizes), packing) == min(allowed)


@given(sizes_of_any_length, st.integers(1, 40), st.integers(0, 20))
def test_all_are_taken_once_in_their_order_and_batches_are_not_too_large(
    sizes: Sizes, max_tokens: int, overhead: int
) -> None:
    packs = Packing(max_tokens, overhead)(sizes)
    assert [place for pack in packs for place in pack] == list(range(len(sizes)))
    assert all(len(pack) == 1 or tokens(sizes, pack) <= max_tokens for pack in packs)


@given(st.integers(1, 200), st.integers(1, 20), st.integers(20, 100))
def test_samples_of_one_length_fill_batches(count: int, length: int, max_tokens: int) -> None:
    packs = Packing(max_tokens, overhead=5)([(1, length)] * count)
    assert [len(pack) for pack in packs[:-1]] == [max_tokens // length] * (len(packs) - 1)


def test_padding_is_worth_as_much_as_its_overhead_says() -> None:
    assert Packing(100, overhead=5)([(1, 10), (1, 6)]) == [range(2)]
    assert Packing(100, overhead=3)([(1, 10), (1, 6)]) == [range(1), range(1, 2)]


@pytest.mark.parametrize(("device", "max_tokens"), [("cpu", 512), ("cuda", 32768)])
def test_an_accelerator_gets_more_tokens(device: str, max_tokens: int) -> None:
    assert Packing.on(device).max_tokens == max_tokens
    assert Packing.on(device, 7).max_tokens == 7
