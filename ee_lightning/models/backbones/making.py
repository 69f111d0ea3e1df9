"""Encoders of a configuration alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from ee_lightning.errors import BackboneError

_INITIALISING = (
    RLock()
)  # transformers turns initialisation off for the whole process: two threads would undo each other


def make_encoder(config: PreTrainedConfig, where: object) -> PreTrainedModel:
    """Make the encoder of a configuration, in float32.

    Args:
        config: The configuration.
        where: Where it is from, for the error.

    Raises:
        BackboneError: No model can be made of it.
    """
    try:
        return AutoModel.from_config(config, dtype=torch.float32)  # type: ignore[no-any-return, no-untyped-call]
    except Exception as error:  # transformers and PyTorch raise many kinds for sizes that make no sense
        raise BackboneError(
            f"no model can be made of the configuration: {str(error)[:300]}",
            where=where,
            hint="give it as it was written",
        ) from error


@contextmanager
def without_initialisation() -> Iterator[None]:
    """Make modules without drawing their weights, which takes seconds and moves the random numbers on."""
    with _INITIALISING, no_init_weights():
        yield
