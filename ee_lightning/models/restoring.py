"""A trained model from its tensors, without the pretrained weights that it started from, and where it runs."""

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from ee_lightning.errors import BackboneError, OptionError
from ee_lightning.functional import Target
from ee_lightning.models.backbones import FAMILIES
from ee_lightning.models.backbones.loading import (
    check_finite_weights,
    check_number_of_layers,
    make_encoder,
    without_initialisation,
)
from ee_lightning.models.head_options import HeadOptions
from ee_lightning.models.multi_exit import MultiExitModel


def restore_model(
    config: PreTrainedConfig,
    target: Target,
    heads: HeadOptions,
    tensors: Mapping[str, Tensor],
    *,
    where: object,
) -> MultiExitModel:
    """Return the model of a backbone's configuration and of its whole ``state_dict``, on the CPU, in evaluation mode.

    Raises:
        BackboneError: A tensor is missing, is of another shape, belongs to another model, or is not finite.
    """
    num_exits = len(heads.layers_of_exits(FAMILIES[config.model_type].depth(config)))
    check_number_of_layers(config, num_exits, len(tensors), where)
    with torch.device("meta"):
        expected = _without_weights(config, target, heads, where=where).state_dict()
    both = [(name, tensor, tensors[name]) for name, tensor in expected.items() if name in tensors]
    wrong = {
        "lack": sorted(expected.keys() - tensors.keys()),
        "have, which the model lacks,": sorted(tensors.keys() - expected.keys()),
        "have in another shape": [name for name, one, other in both if one.shape != other.shape],
        "have in another kind of number": [
            name for name, one, other in both if one.is_floating_point() != other.is_floating_point()
        ],
    }
    if any(wrong.values()):
        raise BackboneError(
            "the weights are of another model: "
            + "; ".join(f"they {what} {_some(names)}" for what, names in wrong.items() if names),
            where=where,
            hint="give weights and configuration of the same run",
        )
    check_finite_weights(tensors, where)
    model = _without_weights(config, target, heads, where=where)
    model.load_state_dict(tensors)
    return model.eval()


def model_of_shapes(config: PreTrainedConfig, target: Target, heads: HeadOptions) -> MultiExitModel:
    """Return a model on PyTorch's device ``meta``, which has shapes alone, or raise a BackboneError."""
    with torch.device("meta"):
        return _without_weights(config, target, heads, where=config.model_type).eval()


def untrained_model(config: PreTrainedConfig, target: Target, heads: HeadOptions) -> MultiExitModel:
    """Return a model with random weights, in evaluation mode, for measuring its speed, or raise a BackboneError."""
    with torch.random.fork_rng(devices=[]):
        return _model(config, target, heads, where=config.model_type).eval()


def find_device(name: str | torch.device) -> torch.device:
    """Return the device ``cpu``, ``cuda``, ``cuda:1``, or for ``auto`` the GPU if there is one; or an OptionError."""
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if number else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise OptionError(f"there is no device {name!r}", where="device", hint="give auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"models don't run on {device.type!r}", where="device", hint="give auto, cpu or cuda")
    if device.type == "cuda" and not number:
        raise OptionError("there is no CUDA device here", where="device", hint="give cpu, or auto")
    if device.type == "cuda" and (device.index or 0) >= number:
        what = f"there is no CUDA device {device.index}: there are {number} here, counted from 0"
        raise OptionError(what, where="device", hint="give cuda")
    return device


def _without_weights(config: PreTrainedConfig, target: Target, heads: HeadOptions, *, where: object) -> MultiExitModel:
    with without_initialisation():
        return _model(config, target, heads, where=where)


def _model(config: PreTrainedConfig, target: Target, heads: HeadOptions, *, where: object) -> MultiExitModel:
    encoder = make_encoder(config, where)
    return MultiExitModel(FAMILIES[config.model_type](encoder), target, heads)


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
