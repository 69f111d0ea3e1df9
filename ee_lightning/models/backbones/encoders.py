"""Encoders of a configuration alone, and whether stored tensors fit it: by their sizes, before any memory is taken."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.utils.hub import cached_file

from ee_lightning.errors import BackboneError
from ee_lightning.models.backbones.backbone import FAMILIES

Shapes = Mapping[str, tuple[int, ...]]
_INITIALISING = RLock()
"""transformers turns initialisation off for the whole process: two threads would undo each other."""


def make_encoder(config: PreTrainedConfig, where: object) -> PreTrainedModel:
    """Make the encoder of a configuration, in float32, or raise a BackboneError that says where it is from."""
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


def check_number_of_layers(config: PreTrainedConfig, num_exits: int, num_tensors: int, where: object) -> None:
    """Raise a BackboneError if there are more layers and exits than stored tensors, of which each has at least one."""
    num_layers = FAMILIES[config.model_type].stored_layers(config)
    if num_layers + num_exits > num_tensors:
        exits = f" and {num_exits} exits" if num_exits else ""
        raise BackboneError(
            f"config.json says {num_layers} layers{exits}, but the weights are only {num_tensors} tensors",
            where=where,
            hint="give weights and configuration of the same model",
        )


def check_pretrained_shapes(path: str, config: PreTrainedConfig, source: str) -> None:
    """Raise a BackboneError if the pretrained weights at a path have other sizes than their configuration."""
    shapes = _stored_shapes(path)
    if not shapes:
        return
    check_number_of_layers(config, 0, len(shapes), source)
    with without_initialisation(), torch.device("meta"):
        encoder = make_encoder(config, source)
    for name, tensor in encoder.state_dict().items():
        found = shapes.get(name, shapes.get(f"{encoder.base_model_prefix}.{name}"))
        if found is not None and found != tensor.shape:
            raise BackboneError(
                f"{name} has the shape {list(found)} in the weights, and {list(tensor.shape)} by config.json",
                where=source,
                hint="give weights and configuration of the same model",
            )


def check_finite_weights(tensors: Mapping[str, Tensor], where: object) -> None:
    """Raise a BackboneError if a tensor, by name, holds NaN or infinity."""
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise BackboneError(
            f"the weights are not finite: there is NaN or infinity in {broken[0]}{more}",
            where=where,
            hint="use weights from before the training diverged, or copy the file again if it was damaged",
        )


def _stored_shapes(path: str) -> Shapes:
    """Return the shapes of all tensors; none where the files can't be read, which the loader says better."""
    try:
        shapes: dict[str, tuple[int, ...]] = {}
        for file in _files(path):
            with safe_open(file, framework="pt") as tensors:
                shapes.update({name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()})  # noqa: SIM118
        return shapes
    except Exception:  # safetensors, the hub's client and the network below it each raise their own kinds
        return {}


def _files(path: str) -> list[str]:
    whole = cached_file(path, "model.safetensors", _raise_exceptions_for_missing_entries=False)
    if whole is not None:
        return [whole]
    index = Path(str(cached_file(path, "model.safetensors.index.json")))
    parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return [str(cached_file(path, part)) for part in sorted(parts)]
