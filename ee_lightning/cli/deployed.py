"""What the commands share that run a trained model."""

from math import inf
from typing import Annotated, Unpack

from ee_lightning.analysis.choice import one_sided
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.inference.predictor import PredictorOptions
from ee_lightning.runs.folder import RunFolder

Model = Annotated[str, "RUN"]


def is_run(model: str) -> bool:
    """Whether a model is that of a run folder."""
    return RunFolder(model).config.is_file()


def warn_of_threshold(rule: ExitPolicy, mean_exit: float, num_exits: int, samples: str) -> None:
    """Warn where a threshold that a user gave lets all samples leave at once, or none early; infinity is meant so."""
    is_meant = rule.operating_point is not None or rule.threshold == inf
    if not is_meant and (found := one_sided(mean_exit, num_exits, samples)):
        print(f"warning: {found}")


def load(
    model: str, criterion: str | None, threshold: float | None, **others: Unpack[PredictorOptions]
) -> EarlyExitPredictor:
    """Load the model that was chosen.

    Args:
        model: Of a run folder, or what save wrote.
        criterion: When samples leave it; that of the operating point if None.
        threshold: In the criterion's unit.
        **others: Options of `EarlyExitPredictor`.

    Raises:
        EarlyExitError: As `EarlyExitPredictor.from_run` and `EarlyExitPredictor.from_pretrained` say.
    """
    make = EarlyExitPredictor.from_run if is_run(model) else EarlyExitPredictor.from_pretrained
    return make(model, criterion=criterion, threshold=threshold, **others)
