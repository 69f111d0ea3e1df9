"""The model that a command is given; importing this loads no torch, which exported models do without."""

from typing import TYPE_CHECKING, Annotated, Unpack

from ee_lightning.cli.imports import imported_later
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.runtime.loading import is_exported, load_predictor, load_torch

if TYPE_CHECKING:
    from ee_lightning.inference import EarlyExitPredictor
    from ee_lightning.inference.predictor import PredictorOptions

Model = Annotated[str, "RUN"]


def load(
    model: str,
    criterion: str | None,
    threshold: float | None,
    exits: list[int] | None,
    **others: "Unpack[PredictorOptions]",
) -> "EarlyExitPredictor":
    """Load the model of a run folder, or one that save wrote."""
    with imported_later():
        import ee_lightning.inference.predictor  # noqa: F401

    return load_torch(model, criterion, threshold, exits, **others)


def load_served(
    model: str,
    criterion: str | None,
    threshold: float | None,
    exits: list[int] | None,
    **options: "Unpack[PredictorOptions]",
) -> TextPredictor:
    """Load what predicts: in ONNX Runtime what export wrote, anything else in torch."""
    if not is_exported(model):
        return load(model, criterion, threshold, exits, **options)
    return load_predictor(model, criterion, threshold, exits, **options)
