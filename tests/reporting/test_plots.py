"""The picture of the curves."""

import torch
from factories import stored

from ee_lightning.exits import Confidence, Fixed, Margin, Oracle, Voting, trace_curve
from ee_lightning.reporting import draw_curves


def test_every_operating_point_is_drawn() -> None:
    exits = stored(torch.randn(3, 20, 2), torch.randint(2, (20,)))
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Confidence(), Oracle(), Fixed())]
    (axes,) = draw_curves({"title": curves}, "accuracy").axes
    assert axes.get_title() == "title"
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"confidence", "oracle", "one exit alone", "full model"}
    assert list(lines["confidence"].get_xdata()) == curves[0].speedup.tolist()
    assert list(lines["confidence"].get_ydata()) == (100 * curves[0].scores["accuracy"]).tolist()
    assert len(lines["oracle"].get_xdata()) == 1


def test_criteria_with_the_same_points_share_a_line_and_every_split_has_axes() -> None:
    exits = stored(torch.randn(3, 20, 2), torch.randint(2, (20,)))
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in (Confidence(), Voting(), Margin(), Fixed())]
    first, second = draw_curves({"validation": curves, "test": curves[:1]}, "accuracy").axes
    assert {line.get_label() for line in first.lines} == {
        "confidence = margin",
        "voting",
        "one exit alone",
        "full model",
    }
    assert [line.get_label() for line in second.lines] == ["confidence"]


def test_no_two_lines_look_alike() -> None:
    several = [stored(torch.randn(3, 50, 3), torch.randint(3, (50,))) for _ in range(20)]
    curves = [trace_curve(Confidence(), exits, ["accuracy"]) for exits in several]
    (axes,) = draw_curves({"title": curves}, "accuracy").axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == len(axes.lines) == 20
