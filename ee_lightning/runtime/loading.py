"""What a command line or a server predicts with: a run's model, a saved one, or an exported one without torch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from ee_lightning.errors import OptionError, require_at_least_one
from ee_lightning.inference.deployment import RUN_CONFIG
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.inference.together import current
from ee_lightning.runtime.manifest import MANIFEST
from ee_lightning.runtime.predictor import EarlyExitRuntime, RuntimeOptions

if TYPE_CHECKING:
    from ee_lightning.inference import EarlyExitPredictor
    from ee_lightning.inference.predictor import PredictorOptions


def is_run(model: str) -> bool:
    """Whether a model is that of a run folder."""
    return (Path(model) / RUN_CONFIG).is_file()


def is_exported(model: str) -> bool:
    """Whether a model is one that ``ee-lightning export`` wrote, which needs no torch."""
    return (current(Path(model)) / MANIFEST).is_file()


def load_torch(
    model: str,
    criterion: str | None = None,
    threshold: float | None = None,
    exits: list[int] | None = None,
    **options: "Unpack[PredictorOptions]",
) -> "EarlyExitPredictor":
    """Load the model of a run folder, or one that save wrote; errors are those of `EarlyExitPredictor`."""
    from ee_lightning.inference import EarlyExitPredictor

    make = EarlyExitPredictor.from_run if is_run(model) else EarlyExitPredictor.from_pretrained
    return make(model, criterion=criterion, threshold=threshold, exits=exits, **options)


def load_predictor(
    model: str,
    criterion: str | None = None,
    threshold: float | None = None,
    exits: list[int] | None = None,
    *,
    threads: int | None = None,
    adapter: str | None = None,
    **options: "Unpack[PredictorOptions]",
) -> TextPredictor:
    """Load what predicts: in ONNX Runtime what export wrote, anything else in torch.

    Args:
        model: A run folder, or what save or export wrote: its folder, or its name on the hub.
        criterion: Such as ``voting(k=0.5)``; None takes the operating point's.
        threshold: In the criterion's unit.
        exits: The layers of the exits to ask.
        threads: Number of threads that share an operation; None leaves it to the library. In torch it is the process's,
            and so it is for tokenizers, if it is given before the first text of the process.
        adapter: The full name of your own adapter of the backbone's family, which is imported.
        **options: Those of `EarlyExitPredictor`.

    Raises:
        OptionError: An exported model is asked for something that is chosen when it is exported.
    """
    if threads is not None:
        require_at_least_one(threads=threads)
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # of tokenizers
    if not is_exported(model):
        from ee_lightning.models.backbones.loading import load_adapter

        load_adapter(adapter)
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        return load_torch(model, criterion, threshold, exits, **options)
    device, precision = options.pop("device", "auto"), options.pop("precision", "fp32")
    for option, is_served in {
        "--device": device in ("auto", "cpu"),
        "--precision": precision == "fp32",
        "--adapter": adapter is None,
    }.items():
        if not is_served:
            hint = "leave it out; the precision is chosen when it is exported, and it runs on the processor"
            raise OptionError("this is an exported model, which has no such option", where=option, hint=hint)
    served = cast(RuntimeOptions, options)
    return EarlyExitRuntime(model, criterion=criterion, threshold=threshold, exits=exits, threads=threads, **served)
