"""The model that a command is given; importing this loads no torch, which exported models do without."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack, cast

from ee_lightning.cli.imports import imported_later
from ee_lightning.errors import OptionError
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.inference.together import current
from ee_lightning.runtime import EarlyExitRuntime
from ee_lightning.runtime.manifest import MANIFEST
from ee_lightning.runtime.predictor import RuntimeOptions

if TYPE_CHECKING:
    from ee_lightning.inference import EarlyExitPredictor
    from ee_lightning.inference.predictor import PredictorOptions

Model = Annotated[str, "RUN"]


def is_run(model: str) -> bool:
    """Whether a model is that of a run folder."""
    from ee_lightning.runs.folder import RunFolder

    return RunFolder(model).config.is_file()


def is_exported(model: str) -> bool:
    """Whether a model is one that export wrote."""
    return (current(Path(model)) / MANIFEST).is_file()


def load(
    model: str,
    criterion: str | None,
    threshold: float | None,
    exits: list[int] | None,
    **others: "Unpack[PredictorOptions]",
) -> "EarlyExitPredictor":
    """Load the model of a run folder, or one that save wrote."""
    with imported_later():
        from ee_lightning.inference import EarlyExitPredictor

    make = EarlyExitPredictor.from_run if is_run(model) else EarlyExitPredictor.from_pretrained
    return make(model, criterion=criterion, threshold=threshold, exits=exits, **others)


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
    device, precision = options.pop("device", "auto"), options.pop("precision", "fp32")
    for option, is_served in {
        "--device": device in ("auto", "cpu"),
        "--precision": precision == "fp32",
        "--exits": exits is None,
    }.items():
        if not is_served:
            hint = "leave it out; exits and precision are chosen when it is exported, and it runs on the processor"
            raise OptionError("this is an exported model, which has no such option", where=option, hint=hint)
    served = cast(RuntimeOptions, options)
    return EarlyExitRuntime(model, criterion=criterion, threshold=threshold, **served)
