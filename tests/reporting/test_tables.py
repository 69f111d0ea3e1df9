"""What is printed."""

import pytest

from ee_lightning.inference import Asked, CriterionRecipe, Estimate, OperatingPoint
from ee_lightning.reporting import print_choice


def printed(reached: dict[str, Estimate], capsys: pytest.CaptureFixture[str]) -> str:
    """Print an operating point that reached these figures, and give it in one line."""
    recipe, asked = CriterionRecipe("ee_lightning.exits.Voting"), Asked("max_loss", 1.0, "f1", None, "test", 0)
    point = OperatingPoint(recipe, 1.5, 12, asked, 50, 50, confidence=0.95, reached=reached, guarantee=None)
    print_choice(point, criterion_name="voting")
    return " ".join(capsys.readouterr().out.split())


def test_an_interval_without_width_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    speedup, same = Estimate(2.0, 1.9, 2.1), Estimate(1.0, 1.0, 1.0)
    text = printed({"speedup": speedup, "loss": Estimate(0.0, 0.0, 0.0), "consistency": same}, capsys)
    assert "the resamples do not differ in loss (points) and consistency: " in text
    assert "says nothing about how rare a difference is" in text


def test_an_interval_that_only_looks_as_if_it_had_no_width_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed({"speedup": Estimate(2.0, 1.9, 2.1), "consistency": Estimate(1.0, 0.9999, 1.0)}, capsys)
    assert "100.0 to 100.0" in text
    assert "resamples" not in text
