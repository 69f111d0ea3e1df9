"""How far rows leave from where they left."""

import random
from math import log

import pytest

from ee_lightning.serving.drift import FEWEST, ExitDrift, population_stability_index


def test_the_index_is_that_of_its_formula_with_half_a_row_more_at_every_exit() -> None:
    expected, seen = [10, 30, 60], [50, 0, 50]
    e = [(count + 0.5) / 101.5 for count in expected]
    s = [(count + 0.5) / 101.5 for count in seen]
    by_hand = sum((s[exit] - e[exit]) * log(s[exit] / e[exit]) for exit in range(3))
    assert population_stability_index(expected, seen) == pytest.approx(by_hand)
    assert population_stability_index(expected, seen) == pytest.approx(population_stability_index(seen, expected))


def test_the_latest_rows_count_and_a_few_give_no_figure() -> None:
    drift = ExitDrift([50, 30, 20], 3, window=200)
    for number in range(FEWEST - 1):
        drift.add(1 + number % 2)
    assert drift.figure is None
    for _ in range(200):
        drift.add(3)
    assert drift.figure == pytest.approx(population_stability_index([50, 30, 20], [0, 0, 200]))
    drift.restart()
    assert drift.figure is None
    assert ExitDrift(None, 3).figure is None


def test_without_a_change_the_index_is_as_small_as_documented() -> None:
    rng = random.Random(0)

    def drawn(rows: int) -> list[int]:
        left = rng.choices(range(12), weights=[*range(12, 0, -1)], k=rows)
        return [left.count(exit) for exit in range(12)]

    mean = sum(population_stability_index(drawn(436), drawn(1000)) for _ in range(200)) / 200
    assert mean == pytest.approx(11 * (1 / 436 + 1 / 1000), rel=0.15)
