"""How figures are written."""

from dataclasses import replace

from ee_lightning.reproduce.report.words import beside, score, signed, speed
from ee_lightning.reproduce.results import Cell

CELL = Cell(61.44, 0.75, 3, 1.532, None, 1.2, published=61.2)


def test_cells_in_words():
    assert score(CELL, most_seeds=3) == "61.4 ± 0.8"
    assert score(CELL, most_seeds=5) == "61.4 ± 0.8 (n=3)"
    assert score(replace(CELL, deviation=None, score=-3.2), most_seeds=3) == "−3.2"
    assert beside(CELL) == "[61.2, +0.2]"
    assert beside(replace(CELL, published=None)) == ""
    assert [speed(factor) for factor in (1.532, None)] == ["1.53x", "–"]
    assert [signed(points) for points in (-0.04, -1.25, 2)] == ["+0.0", "−1.2", "+2.0"]
