"""Stages laid along the optimiser steps."""

import pytest

from ee_lightning.errors import OptionError
from ee_lightning.training import Stage, Timeline
from ee_lightning.training.objectives.two_stage import SelfDistillationObjective, TwoStageObjective


def test_stages_take_their_shares_of_the_steps() -> None:
    timeline = Timeline([Stage(0.2), Stage(0.5), Stage(0.3)], 10)
    assert [timeline.at(step).stage for step in range(10)] == [0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    assert timeline.at(10).stage == 2  # as an evaluation after the last step finds it


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("kind", [TwoStageObjective, SelfDistillationObjective])
def test_two_stages_share_all_steps(kind: type[TwoStageObjective | SelfDistillationObjective], share: float) -> None:
    timeline = Timeline(kind(share).stages(), 1000)
    assert sum(timeline.at(step).stage == 0 for step in range(1000)) == pytest.approx(1000 * share)


def test_progress_tells_the_share_that_is_done() -> None:
    timeline = Timeline([Stage()], 8)
    assert [timeline.at(step).share for step in (0, 2, 8, 9)] == [0, 0.25, 1, 1]
    assert Timeline([Stage()], 0).at(0).share == 0


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.5], [0.3, 0.7]])
def test_the_rate_rises_and_falls_in_every_stage(shares: list[float], warmup: float) -> None:
    timeline = Timeline([Stage(share) for share in shares], 40)
    expected = []
    for share in shares:
        steps = round(40 * share)
        rising = round(warmup * steps)
        expected += [step / rising for step in range(rising)]
        expected += [1 - step / (steps - rising) for step in range(steps - rising)]
    assert [timeline.learning_rate_factor(step, warmup) for step in range(40)] == pytest.approx(expected)
    assert timeline.learning_rate_factor(40, warmup) == 0
    assert timeline.learning_rate_factor(50, warmup) == 0


@pytest.mark.parametrize(("share", "total", "short"), [(0.1, 4, 1), (0.9, 4, 2), (0.5, 1, 1)])
def test_a_stage_without_a_step_is_refused(share: float, total: int, short: int) -> None:
    with pytest.raises(
        OptionError, match=rf"stage {short} of 2 gets none of the {total}[\s\S]*first_stage[\s\S]*longer"
    ):
        Timeline(TwoStageObjective(share).stages(), total)


def test_no_training_at_all_needs_no_stages() -> None:
    assert Timeline(TwoStageObjective().stages(), 0).learning_rate_factor(0, 0.1) == 0
