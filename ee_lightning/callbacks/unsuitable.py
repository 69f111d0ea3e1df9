"""Lightning's callbacks that do not work with these models, or whose work would be lost."""

from collections.abc import Iterable
from pkgutil import resolve_name

from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    LearningRateFinder,
    SpikeDetection,
    StochasticWeightAveraging,
)

from ee_lightning.errors import OptionError

_UNSUITABLE = {
    StochasticWeightAveraging: (
        "its average is neither scored nor saved as the best checkpoint, so no figure and no deployed model would be "
        "of it",
        "use lightning.pytorch.callbacks.EMAWeightAveraging, whose average is scored, saved and deployed",
    ),
    LearningRateFinder: (
        "it would train at a rate that config.yaml does not name, the same for backbone and heads",
        "compare rates by short runs: --model.optimization.learning_rate, --model.optimization.head_learning_rate",
    ),
    BackboneFinetuning: (
        "it unfreezes a `backbone` attribute with an optimiser group of its own, which this model does not have",
        "use --model.optimization.freeze_backbone true, or an objective with two stages",
    ),
    SpikeDetection: (
        "it can't read its own state back from a checkpoint",
        "leave it out: a training whose loss runs away is stopped anyway",
    ),
}


def check_suitable(callbacks: Iterable[str]) -> None:
    """Raise an error for callbacks that would fail, or whose work would be lost.

    Args:
        callbacks: The class paths of the trainer's.

    Raises:
        OptionError: There is such a callback.
    """
    for callback in callbacks:
        for kind, (reason, fix) in _UNSUITABLE.items():
            if issubclass(resolve_name(callback), kind):
                raise OptionError(
                    f"{kind.__name__} does not suit early-exit models: {reason}",
                    where="--trainer.callbacks",
                    mend=fix,
                )
