"""What is printed."""

from pathlib import Path

import pytest
from factories import operating_point

from ee_lightning.reporting import print_choice, print_summary
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import Asked, Estimate


def printed(reached: dict[str, Estimate], capsys: pytest.CaptureFixture[str]) -> str:
    """Print an operating point that reached these figures, and give it in one line."""
    asked = Asked("max_loss", 1.0, "f1", None, "test", 0)
    print_choice(operating_point(asked=asked, reached=reached, guarantee=None), criterion_name="voting")
    return " ".join(capsys.readouterr().out.split())


def test_an_interval_without_width_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    speedup, same = Estimate(2.0, 1.9, 2.1), Estimate(1.0, 1.0, 1.0)
    text = printed({"speedup": speedup, "loss": Estimate(0.0, 0.0, 0.0), "consistency": same}, capsys)
    assert "all resamples have the same loss (points) and consistency (%), so an interval without width" in text


def test_an_interval_that_only_looks_as_if_it_had_no_width_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed({"loss": Estimate(0.02, 0.01, 0.03), "consistency": Estimate(1.0, 0.9999, 1.0)}, capsys)
    assert "100.0 to 100.0" in text
    assert "resamples" not in text


def plain_lines(printed: str) -> list[str]:
    """Return what was printed line by line, without the frames of tables and with single spaces."""
    frames = dict.fromkeys(range(0x2500, 0x2580), " ")
    return [" ".join(line.translate(frames).split()) for line in printed.splitlines()]


def test_summary_holds_the_first_metric_in_percent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def figures(first: float) -> dict[str, float | None]:
        return {"area": 0.5, "score_at_1x": first, "score_at_1.5x": 0.8, "score_at_2x": 0.7123, "score_at_3x": None}

    folder = RunFolder(tmp_path)
    folder.write_summary(
        "validation",
        {
            "task": "own",
            "samples": 40,
            "num_exits": 2,
            "metrics": ["f1", "accuracy"],
            "exits": {"f1": [0.25, 0.9], "accuracy": [0.35, 0.95]},
            "full_model": {"f1": 0.9, "accuracy": 0.95},
            "oracle": {"speedup": 1.625, "f1": 0.98, "accuracy": 0.99},
            "criteria": {"voting": {"f1": figures(0.9), "accuracy": figures(0.95)}},
        },
    )
    print_summary(folder)
    printed = capsys.readouterr().out
    lines = plain_lines(printed)
    assert "own validation: 40 samples, 2 exits" in lines
    assert "f1 (%) by speed-up" in lines
    assert "criterion 1x 1.5x 2x 3x area" in lines
    assert "voting 90.0 80.0 71.2 – 50.0" in lines
    assert "full model 90.0" in lines
    assert "oracle, at 1.62x 98.0" in lines
    assert "every exit alone: 25.0 90.0" in lines
    assert f"run folder: {tmp_path}" in printed


def test_choice_holds_every_figure_with_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    reached = {
        "speedup": Estimate(2.04, 1.98, 2.1),
        "score": Estimate(0.8, 0.75, 0.85),
        "full_score": Estimate(0.9, 0.88, 0.92),
        "loss": Estimate(0.1, -0.01, 0.2),
        "consistency": Estimate(0.7, 0.6, 0.75),
        "brier": Estimate(0.0, -0.0004, 0.01),
    }
    print_choice(operating_point(confidence=0.9, reached=reached), criterion_name="voting")
    lines = plain_lines(capsys.readouterr().out)
    assert "voting at threshold 1.2, chosen on 436 samples" in lines
    assert "with 90% intervals" in lines
    assert "on 437 other samples interval" in lines
    assert "speed-up 2.04x 1.98 to 2.10" in lines
    assert "score (%) 80.0 75.0 to 85.0" in lines
    assert "full model's score (%) 90.0 88.0 to 92.0" in lines
    assert "loss (points) 10.0 -1.0 to 20.0" in lines
    assert "consistency (%) 70.0 60.0 to 75.0" in lines
    assert "Brier score lost (points) 0.0 0.0 to 1.0" in lines  # and not -0.0
    assert lines[-1] == "With probability ..."
