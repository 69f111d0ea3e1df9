"""Turns are taken in a fair order, and times go where they belong."""

import pytest
import torch

from ee_lightning.inference.speed import latencies, paired_ratio, pinned_threads, stopwatch, time_alternately


def test_every_time_is_put_where_it_belongs_and_the_order_alternates() -> None:
    done: list[tuple[int, str]] = []

    def timed(work) -> float:
        work()
        return float(len(done))

    turns = [[lambda turn=turn, who=who: done.append((turn, who)) for who in "ab"] for turn in range(3)]
    seconds = time_alternately(turns, repeats=2, timed=timed)
    first = [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    second = [(0, "b"), (0, "a"), (1, "a"), (1, "b"), (2, "b"), (2, "a")]
    assert done == first + second
    for repeat, order in enumerate((first, second)):
        for place, (turn, who) in enumerate(order, 1):
            assert seconds["ab".index(who), repeat, turn] == 6 * repeat + place


def test_a_machine_that_slows_down_between_repeats_leaves_ratios_alone() -> None:
    early = torch.tensor([[1.0, 3.0]]) * torch.tensor([[1.0], [7.0], [2.0], [100.0], [1.0]])  # [repeats, turns]
    assert paired_ratio(2.5 * early, early) == pytest.approx((2.5, 2.5, 2.5))


def test_a_ratio_is_the_median_of_ratios_with_its_quartiles() -> None:
    ratios = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0])
    assert paired_ratio(ratios.unsqueeze(1), torch.ones(5, 1)) == (3, 2, 4)


def test_latencies_are_of_all_turns_in_all_repeats() -> None:
    seconds = torch.arange(101, dtype=torch.float64).flip(0)[:-1].view(4, 25)
    median, p95 = latencies(seconds)
    assert median == pytest.approx(50.5)
    assert p95 == pytest.approx(95.05)


def test_stopwatch_times_the_work_alone() -> None:
    times = iter([10.0, 12.5, 100.0, 101.0])
    timed = stopwatch(torch.device("cpu"), clock=lambda: next(times))
    assert timed(lambda: None) == 2.5
    assert timed(lambda: None) == 1.0


def test_threads_are_pinned_and_given_back_even_after_a_failure() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), pinned_threads(before + 1):  # noqa: PT012 - what is asked within matters
        assert torch.get_num_threads() == before + 1
        raise RuntimeError
    assert torch.get_num_threads() == before
