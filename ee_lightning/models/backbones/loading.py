"""Pretrained backbones from the hub, a local folder or an installed package."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedConfig
from transformers.utils import logging
from transformers.utils.peft_utils import find_adapter_config_file

from ee_lightning import packaged
from ee_lightning.errors import BackboneError, OptionError, first_line
from ee_lightning.files import check_folder_readable
from ee_lightning.models.backbones.backbone import FAMILIES, Backbone
from ee_lightning.models.backbones.encoders import check_finite_weights, check_pretrained_shapes

SAVED_MODEL = "early_exit"
"""The ``model_type`` of a saved model, which is no backbone."""
ATTENTION = ("eager", "sdpa")
"""What a config.json may ask for; other names let transformers import or download kernels."""
_UNUSED = ("num_labels", "chunk_size_feed_forward")  # of a head, and of a loop that saves memory
_SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "vocab_size")


def load_backbone(source: str, num_layers: int | None = None) -> Backbone:
    """Load pretrained weights, through safetensors only, into the adapter of their family.

    Args:
        source: A hub name (``google-bert/bert-base-uncased``), a local folder, or ``packaged:NAME``.
        num_layers: Keep the first layers only; None keeps all.

    Returns:
        The backbone, in float32.

    Raises:
        OptionError: The encoder has fewer layers than are to be kept.
        BackboneError: The weights can't be found, are damaged or not safetensors, or the family is not known.
    """
    path = _path_of(source)
    config = _config_at(path, source, num_layers)
    check_pretrained_shapes(path, config, source)
    check_folder_readable(path)
    with _quiet_transformers():
        try:
            encoder, report = AutoModel.from_pretrained(
                path, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        except Exception as error:  # transformers, safetensors and the hub's client each raise their own kinds
            raise BackboneError(
                f"the weights can't be loaded: {first_line(error)}", where=source, hint=_hint(path)
            ) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise BackboneError(
            f"the weights lack {len(missing)} tensors of the model, such as {missing[0]}",
            where=source,
            hint="use a checkpoint of the whole encoder",
        )
    check_finite_weights(encoder.state_dict(), source)
    return FAMILIES[config.model_type](encoder).train()  # from_pretrained leaves dropout off


def backbone_config(source: str, num_layers: int | None = None) -> PreTrainedConfig:
    """Read the configuration of a backbone, for its first layers only if so asked.

    Args:
        source: A hub name, a local folder, or ``packaged:NAME``.
        num_layers: Keep the first layers only; None keeps all.

    Raises:
        OptionError: The encoder has fewer layers than are to be kept.
        BackboneError: There is no configuration, or its family is not known.
    """
    return _config_at(_path_of(source), source, num_layers)


def config_of_fields(fields: Mapping[str, Any], source: str) -> PreTrainedConfig:
    """Make the configuration of a backbone from the fields of its ``config.json``.

    Args:
        fields: The fields.
        source: Where they are from, for the error.

    Raises:
        BackboneError: Its family is not known, it asks for attention of another kind, or a field makes no sense.
    """
    family = fields.get("model_type")
    known = ", ".join(sorted(FAMILIES))
    if family is None:
        raise BackboneError(
            "config.json names no model_type, so the backbone's family is not known",
            where=source,
            hint=f"name it there: one of {known}",
        )
    if family == SAVED_MODEL:
        raise BackboneError(
            "this is a saved early-exit model, and no backbone",
            where=source,
            hint="give the backbone that it was trained from; the saved model is for predict and from_pretrained",
        )
    if family not in FAMILIES:
        raise BackboneError(
            f"the backbone family {family!r:.80} is not known",
            where=source,
            hint=f"choose a backbone of one of the families {known}, or import an adapter of your own beforehand "
            "(README, 'Adding a backbone family')",
        )
    for name in ("attn_implementation", "_attn_implementation"):
        if (asked := fields.get(name)) is not None and asked not in ATTENTION:
            raise BackboneError(
                f"config.json asks for the attention {asked!r:.80}, which is not taken from a file",
                where=source,
                hint=f"delete {name} from it, or write {' or '.join(ATTENTION)}",
            )
    sized = {name: value for name, value in fields.items() if name not in _UNUSED}
    with _reading_config(source, source):
        config: PreTrainedConfig = CONFIG_MAPPING[family].from_dict(sized, name_or_path=source)
        _check_numbers(config)
    return config


def _check_numbers(config: PreTrainedConfig) -> None:
    """Raise a `ValueError` for sizes below 1 and for numbers that are not finite, which transformers takes."""
    for name in _SIZES:
        if (size := getattr(config, name, None)) is not None and size < 1:
            raise ValueError(f"{name} is {size}")
    for name, value in config.to_dict().items():
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"{name} is {value}")


def _config_at(path: str, source: str, num_layers: int | None) -> PreTrainedConfig:
    check_folder_readable(path)
    with _reading_config(path, source):
        if find_adapter_config_file(path) is not None:
            raise adapter_error(source)
        fields = PreTrainedConfig.get_config_dict(path)[0]
        if not fields:
            raise FileNotFoundError("there is no config.json")
    config = config_of_fields(fields, source)
    if num_layers is not None:
        adapter = FAMILIES[config.model_type]
        if not 1 <= num_layers <= adapter.depth(config):
            raise OptionError(
                f"{num_layers} layers are to be kept of {adapter.depth(config)}",
                where="--model.num_layers",
                hint=f"give a number from 1 to {adapter.depth(config)}",
            )
        adapter.shorten(config, num_layers)
    return config


def adapter_error(source: str) -> BackboneError:
    """Return the error for a folder, or a repository on the hub, that holds a PEFT adapter."""
    return BackboneError(
        "this is a PEFT adapter (adapter_config.json), which is not applied to the weights",
        where=source,
        hint="merge it, in Python: merge_and_unload().save_pretrained(FOLDER), and give that folder; "
        "or remove the adapter's files to use the weights without it",
    )


@contextmanager
def _reading_config(path: str, source: str) -> Iterator[None]:
    try:
        yield
    except BackboneError:
        raise
    except Exception as error:  # as below, each raises its own kinds
        raise BackboneError(
            f"no backbone can be read there: {first_line(error)}", where=source, hint=_hint(path)
        ) from error


def _path_of(source: str) -> str:
    return str(packaged.resolve(source)) if source.startswith(packaged.PREFIX) else source


def _hint(source: str) -> str:
    if Path(source).is_dir():
        return "the folder needs config.json, model.safetensors and the tokenizer, as save_pretrained writes them"
    return (
        "check the name and the network, or give a local folder, or packaged:all-minilm-l6-v2, which needs neither hub "
        "nor account"
    )


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep transformers' report of unused and new tensors off the terminal: the loader checks them itself."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
