"""What the commands share that run a trained model."""

from argparse import Namespace
from math import inf
from typing import Unpack

from ee_lightning.analysis.choice import one_sided
from ee_lightning.cli.options import Options
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.inference.predictor import PredictorOptions
from ee_lightning.runs.folder import RunFolder


def add_model(options: Options) -> None:
    """Add which model it is, and when samples leave it."""
    options.add_argument(
        "model", metavar="RUN", help="a run folder, or what save wrote: its folder, or its name on the hub"
    )
    options.add_argument(
        "--criterion", help="such as confidence or 'voting(k=0.5)', with --threshold (those of the operating point)"
    )
    options.add_argument("--threshold", type=float, help="in the criterion's unit; inf lets nobody leave early")


def is_run(model: str) -> bool:
    """Whether a model is that of a run folder."""
    return RunFolder(model).config.is_file()


def warn_of_threshold(rule: ExitPolicy, mean_exit: float, num_exits: int, samples: str) -> None:
    """Warn where a threshold that a user gave lets all samples leave at once, or none early; infinity is meant so."""
    is_meant = rule.operating_point is not None or rule.threshold == inf
    if not is_meant and (found := one_sided(mean_exit, num_exits, samples)):
        print(f"warning: {found}")


def load(chosen: Namespace, **others: Unpack[PredictorOptions]) -> EarlyExitPredictor:
    """Load the model that was chosen.

    Args:
        chosen: What `add_model` adds.
        **others: Options of `EarlyExitPredictor`.

    Raises:
        EarlyExitError: As `EarlyExitPredictor.from_run` and `EarlyExitPredictor.from_pretrained` say.
    """
    if is_run(chosen.model):
        return EarlyExitPredictor.from_run(
            chosen.model, criterion=chosen.criterion, threshold=chosen.threshold, **others
        )
    return EarlyExitPredictor.from_pretrained(
        chosen.model, criterion=chosen.criterion, threshold=chosen.threshold, **others
    )
