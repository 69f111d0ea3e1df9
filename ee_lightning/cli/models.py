"""The model that a command is given; importing this loads no torch, which exported models do without."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Unpack

from ee_lightning.cli.imports import imported_later
from ee_lightning.errors import OptionError
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
    _import_torch_later()
    return load_torch(model, criterion, threshold, exits, **others)


def load_served(
    model: str,
    criterion: str | None,
    threshold: float | None,
    exits: list[int] | None,
    threads: int | None,
    adapter: str | None,
    **options: "Unpack[PredictorOptions]",
) -> TextPredictor:
    """Load what predicts: in ONNX Runtime what export wrote, anything else in torch."""
    if not is_exported(model):
        _import_torch_later()
    return load_predictor(model, criterion, threshold, exits, threads=threads, adapter=adapter, **options)


def _import_torch_later() -> None:
    with imported_later():
        import ee_lightning.inference.predictor  # noqa: F401


def refuse_rows(**options: object) -> None:
    """Raise an `OptionError` where the rows of a file are given beside a run."""
    for name, value in options.items():
        if value is not None:
            what, hint = "a run has rows of its own; a file's are for an exported model", "leave it out"
            raise OptionError(what, where=f"--{name.replace('_', '-')}", hint=hint)


def refuse_of_run(options: Mapping[str, tuple[bool, str]]) -> None:
    """Raise an `OptionError` for the first option of a run that is given; the hints say what to do instead."""
    for option, (is_given, hint) in options.items():
        if is_given:
            raise OptionError("this is an exported model, which has no such option", where=option, hint=hint)


EXPORT_EXITS = "export these exits: ee-lightning export RUN FOLDER --exits 3,6,9,12"
