"""Which options of a module suit each other, its backbone and its trainer."""

from typing import Literal

from lightning.pytorch.strategies import FSDPStrategy, Strategy

from ee_lightning.errors import OptionError
from ee_lightning.models import HeadOptions
from ee_lightning.models.backbones.loading import usual_pooling
from ee_lightning.training.objectives import Objective

Pooling = Literal["cls", "mean"]


def suited_to(
    backbone: str, pooling: Pooling | None, rate: float, head_rate: float | None
) -> tuple[Pooling, float | None]:
    """Return the pooling and the heads' learning rate, those that suit a backbone where no pooling is given.

    The heads of a mean-pooled sentence encoder learn ten times as fast, or its shallow exits would stay at chance.
    """
    if pooling is not None:
        return pooling, head_rate
    pooling = usual_pooling(backbone)
    return pooling, 10 * rate if pooling == "mean" and head_rate is None else head_rate


def check_gate(objective: Objective, heads: HeadOptions) -> None:
    """Raise an `OptionError` for a gate that nothing would train, or an objective that lacks the gate it trains."""
    if objective.trains_gates and not heads.gate:
        raise OptionError(
            f"{type(objective).__name__} trains a gate, and the exits have none",
            where="--model.heads.gate",
            hint="give the exits one: --model.heads.gate deep, per_exit or true",
        )
    if heads.gate and not objective.has_early_exits:
        raise OptionError(
            f"{type(objective).__name__} trains no early exits, and no gate beside them",
            where="--model.heads.gate",
            hint="leave the gate out, or take another objective",
        )


def check_adapters(strategy: Strategy, *, freeze_backbone: bool, by_callback: bool) -> None:
    """Raise an `OptionError` where adapters on the backbone don't go with the other options."""
    what, where, hint = "", "", ""
    if freeze_backbone:
        what, where = "the backbone is frozen, and its adapters with it", "--model.optimization.freeze_backbone"
        hint = "leave it out: adapters leave the backbone's own weights alone"
    elif by_callback:
        what, where = "a callback that unfreezes the backbone would train more than its adapters", "--trainer.callbacks"
        hint = "leave it out"
    elif isinstance(strategy, FSDPStrategy):
        what, where = "FSDP shares out whole layers, of which adapters train a part alone", "--trainer.strategy"
        hint = "use ddp"
    if what:
        raise OptionError(what, where=where, hint=hint)
