"""A trained model from its tensors, without the pretrained weights that it started from."""

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from ee_lightning.errors import BackboneError
from ee_lightning.models.backbones import FAMILIES
from ee_lightning.models.backbones.making import make_encoder, without_initialisation
from ee_lightning.models.backbones.stored_shapes import check_number_of_layers
from ee_lightning.models.finite import check_finite_weights
from ee_lightning.models.heads import HeadOptions
from ee_lightning.models.multi_exit import MultiExitModel


def restore_model(
    config: PreTrainedConfig,
    num_classes: int,
    heads: HeadOptions,
    tensors: Mapping[str, Tensor],
    *,
    where: object,
    multi_label: bool = False,
) -> MultiExitModel:
    """Make a model of a backbone's configuration, and fill it with tensors.

    Args:
        config: The backbone's, as `backbone_config` gives it.
        num_classes: Number of classes C; 1 for regression.
        heads: Options of the internal classifiers.
        tensors: The model's ``state_dict``: every tensor of it, and no other.
        where: Where they are from, for the error.
        multi_label: Whether the classes are labels, of which a sample has any number.

    Returns:
        The model, in float32, on the CPU, in evaluation mode.

    Raises:
        BackboneError: A tensor is missing, is of another shape, belongs to another model, or is not finite.
    """
    num_exits = FAMILIES[config.model_type].depth(config) if heads.exits == "every" else 1
    check_number_of_layers(config, num_exits, len(tensors), where)
    with torch.device("meta"):
        expected = _without_weights(config, num_classes, heads, where=where).state_dict()
    wrong = {
        "lack": sorted(expected.keys() - tensors.keys()),
        "have, which the model lacks,": sorted(tensors.keys() - expected.keys()),
        "have in another shape": [
            name for name in expected if name in tensors and tensors[name].shape != expected[name].shape
        ],
        "have in another kind of number": [
            name
            for name in expected
            if name in tensors and tensors[name].is_floating_point() != expected[name].is_floating_point()
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
    model = _without_weights(config, num_classes, heads, where=where, multi_label=multi_label)
    model.load_state_dict(tensors)
    return model.eval()


def model_of_shapes(config: PreTrainedConfig, num_classes: int, heads: HeadOptions) -> MultiExitModel:
    """Make a model that has the shapes of its tensors alone, for counting what it takes.

    Args:
        config: The backbone's, as `backbone_config` gives it.
        num_classes: Number of classes C; 1 for regression.
        heads: Options of the internal classifiers.

    Returns:
        The model, on PyTorch's device ``meta``, in evaluation mode.

    Raises:
        BackboneError: No model can be made of the configuration.
    """
    with torch.device("meta"):
        return _without_weights(config, num_classes, heads, where=config.model_type).eval()


def untrained_model(
    config: PreTrainedConfig, num_classes: int, heads: HeadOptions, *, multi_label: bool = False
) -> MultiExitModel:
    """Make a model whose weights are drawn at random, for measuring how fast it is.

    Args:
        config: The backbone's, as `backbone_config` gives it.
        num_classes: Number of classes C; 1 for regression.
        heads: Options of the internal classifiers.
        multi_label: Whether the classes are labels, of which a sample has any number.

    Returns:
        The model, in float32, on the CPU, in evaluation mode.

    Raises:
        BackboneError: No model can be made of the configuration.
    """
    with torch.random.fork_rng(devices=[]):
        return _model(config, num_classes, heads, where=config.model_type, multi_label=multi_label).eval()


def _without_weights(
    config: PreTrainedConfig, num_classes: int, heads: HeadOptions, *, where: object, multi_label: bool = False
) -> MultiExitModel:
    with without_initialisation():
        return _model(config, num_classes, heads, where=where, multi_label=multi_label)


def _model(
    config: PreTrainedConfig, num_classes: int, heads: HeadOptions, *, where: object, multi_label: bool
) -> MultiExitModel:
    encoder = make_encoder(config, where)
    return MultiExitModel(FAMILIES[config.model_type](encoder), num_classes, heads, multi_label=multi_label)


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
