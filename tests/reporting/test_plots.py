"""The picture of the curves."""

import torch

from ee_lightning.exits import Confidence, Fixed, Oracle, StoredExits, trace_curve
from ee_lightning.reporting import draw_curves


def test_every_operating_point_is_drawn() -> None:
    exits = StoredExits(torch.randn(3, 20, 2), torch.randint(2, (20,)), torch.arange(20))
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Confidence(), Oracle(), Fixed())]
    (axes,) = draw_curves("title", curves, "accuracy").axes
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"confidence", "oracle", "one exit alone", "full model"}
    assert list(lines["confidence"].get_xdata()) == curves[0].speedup.tolist()
    assert list(lines["confidence"].get_ydata()) == (100 * curves[0].scores["accuracy"]).tolist()
    assert len(lines["oracle"].get_xdata()) == 1
