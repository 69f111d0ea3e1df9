"""Whether training will have the figures that checkpoints and early stopping are told to monitor."""

from collections.abc import Sequence

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint

from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion
from ee_lightning.training import EarlyExitModule

_EXITS = ("val/exit_", "val/full_model/", "val/oracle/", "val/diversity/", "val/information/")


def check_monitors(callbacks: Sequence[Callback], criteria: Sequence[Criterion], module: EarlyExitModule) -> None:
    """Refuse to monitor a figure that training does not log, which would end it after an epoch.

    Where a callback or a module is neither Lightning's nor this project's, it may log figures of its own: only those of
    the exits are refused then.

    Args:
        callbacks: The trainer's.
        criteria: The criteria that are swept after every validation.
        module: What is trained.

    Raises:
        OptionError: A figure will not be there.
    """
    areas = [f"val/{criterion.name}/area" for criterion in criteria]
    of_exits = [f"val/exit_{exit_layer}/score" for exit_layer in range(1, module.model.num_exits + 1)]
    scores = ["val/score", *(f"val/{metric}" for metric in module.metrics)]
    shown = [*areas, *scores, " to ".join(dict.fromkeys((of_exits[0], of_exits[-1]))), "train/loss"]
    logged = {*areas, *of_exits, *scores, "train/loss"}
    others_log = any(_is_foreign(each) for each in (*callbacks, module, module.objective))
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or monitor in logged or monitor.startswith("train/"):
            continue
        if isinstance(callback, ModelCheckpoint) and monitor in {"step", "epoch"}:
            continue
        is_rate = monitor.startswith("lr-") and any(isinstance(each, LearningRateMonitor) for each in callbacks)
        if is_rate or (others_log and not _is_of_exits(monitor)):
            continue
        raise OptionError(
            f"{type(callback).__name__} monitors {monitor}, which this training does not log",
            where="--checkpoint.monitor" if isinstance(callback, ModelCheckpoint) else "--trainer.callbacks",
            mend=f"monitor one of {', '.join(shown)}; --sweep.criteria decides on the areas",
        )


def _is_of_exits(monitor: str) -> bool:
    """Return whether only this project logs a figure of that name."""
    is_of_criterion = monitor.startswith("val/") and (monitor.endswith("/area") or "/score_at_" in monitor)
    return monitor.startswith(_EXITS) or is_of_criterion


def _is_foreign(part: object) -> bool:
    return type(part).__module__.partition(".")[0] not in {"lightning", "ee_lightning"}
