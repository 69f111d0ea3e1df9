"""AdamW as the field uses it: no decay on biases and norms, a learning rate for the heads, warm-up and linear decay."""

from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from ee_lightning.errors import OptionError
from ee_lightning.models import MultiExitModel
from ee_lightning.training.timeline import Timeline

_USUAL = {"learning_rate": 2e-5, "head_learning_rate": 2e-4, "weight_decay": 0.01, "warmup_fraction": 0.1}


@dataclass(frozen=True)
class Optimization:
    """Options of the optimiser.

    Attributes:
        learning_rate: Peak learning rate of the backbone.
        head_learning_rate: Peak learning rate of the internal classifiers; None takes that of the backbone. About ten
            times as much lets shallow exits of a sentence encoder learn within a short fine-tune.
        weight_decay: Decoupled weight decay; biases and norms have none.
        warmup_fraction: Share of the steps of a stage over which the learning rate rises, in [0, 1]; it then falls to
            0 linearly. Most objectives have a single stage.
        freeze_backbone: Train the internal classifiers alone.
        gradient_checkpointing: Save memory by running every layer again in the backward pass.
    """

    learning_rate: float = 2e-5
    head_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    freeze_backbone: bool = False
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        for name, usual in _USUAL.items():
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise OptionError(
                    f"{name} must be a number ≥ 0, but is {value}",
                    where=f"model.optimization.{name}",
                    mend=f"{usual:g} is a usual value",
                )
        if self.warmup_fraction > 1:
            raise OptionError(
                f"warmup_fraction must lie in [0, 1], but is {self.warmup_fraction}",
                where="model.optimization.warmup_fraction",
                mend="it is a share of all steps: 0.1 is the usual value",
            )

    def build(self, model: MultiExitModel, timeline: Timeline) -> tuple[AdamW, LambdaLR]:
        """Make the optimiser and the schedule.

        Args:
            model: The model whose parameters are optimised.
            timeline: The stages of the training.
        """
        head_rate = self.learning_rate if self.head_learning_rate is None else self.head_learning_rate
        parts: list[tuple[nn.Module, float]] = [(model.heads, head_rate)]
        if not self.freeze_backbone:
            parts.insert(0, (model.backbone, self.learning_rate))
        groups = [
            {"params": parameters, "lr": rate, "weight_decay": decay}
            for part, rate in parts
            for parameters, decay in zip(_by_decay(part), (self.weight_decay, 0.0), strict=True)
        ]
        optimizer = AdamW(groups)
        return optimizer, LambdaLR(optimizer, lambda step: timeline.learning_rate_factor(step, self.warmup_fraction))


def _by_decay(part: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters into those that decay, and biases and norms, which don't.

    They are told by name and module, not by shape: of a sharded parameter a process holds a flat piece, or nothing.
    """
    spared = {
        id(parameter)
        for module in part.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name.endswith("bias") or "Norm" in type(module).__name__
    }
    parameters = list(part.parameters())
    return [p for p in parameters if id(p) not in spared], [p for p in parameters if id(p) in spared]
