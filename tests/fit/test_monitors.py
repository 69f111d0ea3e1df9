"""What may be monitored in a training, and what is refused before it."""

from pathlib import Path

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion, Patience, Voting
from ee_lightning.fit.callbacks import check_monitors
from ee_lightning.models import HeadOptions
from ee_lightning.training import EarlyExitModule
from ee_lightning.training.objectives.joint import JointObjective
from ee_lightning.training.objectives.last_exit import LastExitObjective

SWEPT: list[Criterion] = [Voting(), Patience(tolerance=0.5)]


@pytest.fixture(scope="module")
def three_exits(tiny_backbone: Path) -> EarlyExitModule:
    return EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], JointObjective())


@pytest.mark.parametrize("kind", [ModelCheckpoint, EarlyStopping])
@pytest.mark.parametrize(
    "monitor",
    [
        "val/voting/area",
        "val/patience(tolerance=0.5)/area",
        "val/exit_1/score",
        "val/exit_3/score",
        "val/score",
        "val/accuracy",
        "val/loss",
        "train/loss",
        "train/accuracy_term",
    ],
)
def test_what_training_logs_passes(
    kind: type[ModelCheckpoint | EarlyStopping], monitor: str, three_exits: EarlyExitModule
) -> None:
    check_monitors([kind(monitor=monitor)], SWEPT, three_exits)


@pytest.mark.parametrize(
    "monitor",
    [
        "val/losses",
        "val/acc",
        "val/mine/score",
        "area",
        "step",
        "val/entropy/area",
        "val/patience/area",
        "val/voting(k=0.5)/area",
        "val/oracle/area",
        "val/voting/score_at_2x",
        "val/exit_0/score",
        "val/exit_4/score",
        "val/full_model/score",
        "val/oracle/speedup",
        "val/diversity/disagreement",
        "val/information/relevancy",
    ],
)
def test_a_figure_of_the_exits_that_is_not_logged_is_refused(monitor: str, three_exits: EarlyExitModule) -> None:
    for callback, where in (
        *([] if monitor == "step" else [(ModelCheckpoint(monitor=monitor), "--checkpoint.monitor")]),
        (EarlyStopping(monitor), "--trainer.callbacks"),
    ):
        with pytest.raises(OptionError) as caught:
            check_monitors([Callback(), ModelCheckpoint(), callback], SWEPT, three_exits)
        assert f"{type(callback).__name__} monitors {monitor}" in caught.value.what
        assert caught.value.where == where
        assert caught.value.hint is not None
        assert "val/voting/area, val/patience(tolerance=0.5)/area, val/score, val/accuracy, " in caught.value.hint
        assert "val/exit_1/score to val/exit_3/score" in caught.value.hint


def test_a_single_exit_and_no_criteria_leave_its_score(tiny_backbone: Path) -> None:
    module = EarlyExitModule(str(tiny_backbone), 2, ["accuracy"], LastExitObjective(), heads=HeadOptions(exits="last"))
    with pytest.raises(
        OptionError, match="monitor one of val/score, val/accuracy, val/loss, val/exit_1/score, train/loss;"
    ):
        check_monitors([EarlyStopping("val/voting/area")], [], module)


class _OfAUser(Callback):
    """Might log anything."""


def test_what_the_callbacks_of_others_may_log_passes(three_exits: EarlyExitModule) -> None:
    check_monitors([_OfAUser(), EarlyStopping("val/mine/score")], SWEPT, three_exits)
    check_monitors([LearningRateMonitor(), EarlyStopping("lr-AdamW/pg1")], SWEPT, three_exits)
    check_monitors([ModelCheckpoint(monitor="step")], SWEPT, three_exits)
    with pytest.raises(OptionError, match="monitors val/entropy/area"):
        check_monitors([_OfAUser(), EarlyStopping("val/entropy/area")], SWEPT, three_exits)
