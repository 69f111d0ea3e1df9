"""What leaving early saves on a run's model: layers, and floating-point operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from ee_lightning.functional import Target
from ee_lightning.inference.flops import FlopCounter
from ee_lightning.models import HeadOptions, model_of_shapes
from ee_lightning.models.backbones.loading import backbone_config
from ee_lightning.runs.load_run import RunOptions


@dataclass(frozen=True)
class Layers:
    """The layers of a model.

    Attributes:
        full: Those of the whole backbone.
        kept: Those of them that the model has.
        num_exits: How many of these, counted from the last, have an exit behind them.
    """

    full: int
    kept: int
    num_exits: int

    @property
    def without_exit(self) -> int:
        """How many layers are run before the first exit."""
        return self.kept - self.num_exits

    def speedup(self, exit_layers: Tensor) -> float:
        """Return all layers of the whole backbone over the mean of those run.

        Args:
            exit_layers: The number of the exit where each sample leaves, from 1, of shape [samples].
        """
        return self.full / (self.without_exit + exit_layers.double().mean().item())


def layers_of(options: RunOptions, num_exits: int) -> Layers:
    """Count the layers of a run's model.

    Args:
        options: The run's.
        num_exits: Number of its exits.

    Raises:
        BackboneError: The backbone's configuration is needed and can't be had.
    """
    if options.heads.exits == "every" and options.num_layers is None:
        return Layers(num_exits, num_exits, num_exits)
    full = int(backbone_config(options.backbone).num_hidden_layers)
    return Layers(full, options.num_layers or full, num_exits)


def flops_speedup(options: RunOptions, num_tokens: Sequence[int], exit_layers: Tensor, *, judged: bool) -> float:
    """Return the operations of the whole backbone with the last head alone over those of samples that leave early.

    Heads that are passed are counted, padding is not; see `FlopCounter`.

    Args:
        options: The run's.
        num_tokens: Of each sample.
        exit_layers: The number of the exit where each leaves, from 1, of shape [samples].
        judged: Whether the exits passed were asked; if not, all samples leave at the last one, which is.

    Raises:
        EarlyExitError: The backbone's configuration can't be had.
    """
    whole, own = (_counter(options, num_layers) for num_layers in (None, options.num_layers))
    spent = own.of_exits(num_tokens, exit_layers.tolist()) if judged else own.of_full(num_tokens)
    return whole.of_full(num_tokens) / spent


def _counter(options: RunOptions, num_layers: int | None) -> FlopCounter:
    return _counter_of(options.backbone, num_layers, options.task.target, options.heads)


@cache
def _counter_of(backbone: str, num_layers: int | None, target: Target, heads: HeadOptions) -> FlopCounter:
    return FlopCounter(model_of_shapes(backbone_config(backbone, num_layers), target, heads))
