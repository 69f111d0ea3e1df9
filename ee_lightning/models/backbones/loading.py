"""Pretrained backbones from the hub, a local folder or an installed package, checked before any memory is taken."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from threading import RLock
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.initialization import no_init_weights
from transformers.utils import logging
from transformers.utils.hub import cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from ee_lightning import packaged
from ee_lightning.errors import BackboneError, OptionError, counted, did_you_mean, first_line
from ee_lightning.files import check_folder_readable, class_at, read_json, reading, typed
from ee_lightning.models.backbones.backbone import FAMILIES, Backbone

SAVED_MODEL = "early_exit"
"""The ``model_type`` of a saved model, which holds a backbone's configuration as ``backbone``."""
SAVED_WEIGHTS = "early_exit.safetensors"
_OF_SAVED = "backbone.encoder."
ATTENTION = ("eager", "sdpa")
"""What a config.json may ask for; other names let transformers import or download kernels."""
_ACTIVATIONS = ("hidden_act", "activation", "hidden_activation", "conv_act")
_CAUSAL = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_COUNT_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")
_UNUSED = ("num_labels", "chunk_size_feed_forward")  # of a head, and of a loop that saves memory
_SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "vocab_size")

_INITIALISING = RLock()
"""transformers turns initialisation off for the whole process: two threads would undo each other."""


def load_backbone(source: str, num_layers: int | None = None) -> Backbone:
    """Load pretrained weights, through safetensors only and in float32, into the adapter of their family.

    Args:
        source: A hub name (``google-bert/bert-base-uncased``), a local folder, or ``packaged:NAME``; also a saved
            model, of which the backbone is taken.
        num_layers: Keep the first layers only; None keeps all.

    Raises:
        OptionError: The encoder has fewer layers than are to be kept.
        BackboneError: The weights can't be found, are damaged, not safetensors or not those of ``config.json``, or the
            family is not known or not run as its configuration asks.
    """
    path = path_of(source)
    config = _config_at(path, source, num_layers)
    if PreTrainedConfig.get_config_dict(path)[0].get("model_type") == SAVED_MODEL:
        return FAMILIES[config.model_type](_encoder_of_saved(path, config, source)).train()
    check_pretrained_shapes(path, config, source)
    check_folder_readable(path)
    with _quiet_transformers():
        try:
            encoder, report = AutoModel.from_pretrained(
                path, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        except Exception as error:  # transformers, safetensors and the hub's client each raise their own kinds
            what = f"the weights can't be loaded: {first_line(error)}"
            raise BackboneError(what, where=source, hint=_hint(path)) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        what = f"the weights lack {len(missing)} tensors of the model, such as {missing[0]}"
        raise BackboneError(what, where=source, hint="use a checkpoint of the whole encoder")
    _check_layers_used(report["unexpected_keys"], encoder, num_layers, source)
    check_finite_weights(encoder.state_dict(), source)
    return FAMILIES[config.model_type](encoder).train()  # from_pretrained leaves dropout off


def load_adapter(class_path: str | None) -> None:
    """Import an adapter of your own by its full name, which serves its families from then on; or an OptionError."""
    if class_path is not None:
        class_at(class_path, Backbone, "adapter", such_as="my_module.MyBackbone")


def usual_pooling(source: str) -> Literal["cls", "mean"]:
    """Return how a sentence encoder was trained to pool its tokens; ``cls`` for any other backbone."""
    saved = Path(source) / "early_exit.json"
    if saved.is_file():
        with reading(saved, hint="save the model again: ee-lightning save"):
            return "mean" if read_json(saved)["heads"].get("pooling") == "mean" else "cls"
    file = Path(source) / "1_Pooling" / "config.json"
    if not file.is_file():  # those that are packaged, and nearly all of this name on the hub, are mean-pooled
        return "mean" if source.startswith((packaged.PREFIX, "sentence-transformers/")) else "cls"
    with reading(file, hint="bring it back as sentence-transformers wrote it, or give --model.heads.pooling"):
        return "mean" if typed(dict[str, Any], read_json(file)).get("pooling_mode_mean_tokens") else "cls"


def backbone_config(source: str, num_layers: int | None = None) -> PreTrainedConfig:
    """Read the configuration of a backbone; arguments and errors as of `load_backbone`."""
    return _config_at(path_of(source), source, num_layers)


def config_of_fields(fields: Mapping[str, Any], source: str) -> PreTrainedConfig:
    """Make the configuration of a backbone from the fields of its ``config.json``.

    Raises:
        BackboneError: Its family is not known, it is that of a decoder, it asks for attention of another kind, or a
            field makes no sense.
    """
    family = str(fields.get("model_type"))
    if fault := _fault_of(fields):
        what, hint = fault
        raise BackboneError(what, where=source, hint=hint)
    sized = {name: value for name, value in fields.items() if name not in _UNUSED}
    with _reading_config(source, source):
        config: PreTrainedConfig = CONFIG_MAPPING[family].from_dict(sized, name_or_path=source)
        numbers = {name: value for name, value in config.to_dict().items() if isinstance(value, float)}
        sizes = {name: getattr(config, name, None) for name in _SIZES}
        for name, value in (numbers | sizes).items():  # of which transformers takes all
            if value is not None and (not isfinite(value) or (name in sizes and value < 1)):
                raise ValueError(f"{name} is {value}")
    return config


def _fault_of(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong with a ``config.json``, and what to do about it."""
    family, known = fields.get("model_type"), ", ".join(sorted(FAMILIES))
    if family is None:
        what = "config.json names no model_type, so the backbone's family is not known"
        return what, f"name it there: one of {known}"
    if family not in FAMILIES:
        hint = f"choose a backbone of one of the families {known}, or name an adapter of your own: --model.adapter for "
        hint += "a training, else --adapter, and from Python an import (docs/extend/backbone.md)"
        return f"the backbone family {family!r:.80} is not known", hint
    for name in ("attn_implementation", "_attn_implementation"):
        if (asked := fields.get(name)) is not None and asked not in ATTENTION:
            what = f"config.json asks for the attention {asked!r:.80}, which is not taken from a file"
            return what, f"delete {name} from it, or write {' or '.join(ATTENTION)}"
    for name in _ACTIVATIONS:
        if name in fields and (named := str(fields[name])) not in ACT2FN:
            what = f"{name} in config.json is {named!r:.80}, and transformers has no such activation"
            return what, f"{did_you_mean(named, ACT2FN)}use one of {', '.join(ACT2FN)}"
    if family in _CAUSAL and fields.get("is_decoder"):
        what = "config.json is that of a decoder (is_decoder), in which no token sees those behind it"
        return what, "use an encoder's weights, or write false there, and every token sees all others"
    if family in _COUNT_FROM_PADDING and fields.get("pad_token_id", 0) is None:
        what = f"config.json has no pad_token_id, behind which {family} counts positions"
        return what, "write the number of the tokenizer's padding token there"
    return None


def _config_at(path: str, source: str, num_layers: int | None) -> PreTrainedConfig:
    check_folder_readable(path)
    with _reading_config(path, source):
        if find_adapter_config_file(path) is not None:
            raise adapter_error(source)
        fields = PreTrainedConfig.get_config_dict(path)[0]
        if not fields:
            raise FileNotFoundError("there is no config.json")
        if fields.get("model_type") == SAVED_MODEL:
            fields = typed(dict[str, Any], fields.get("backbone"), at="backbone")
    config = config_of_fields(fields, source)
    if num_layers is not None:
        adapter = FAMILIES[config.model_type]
        if not 1 <= num_layers <= adapter.depth(config):
            what = f"{num_layers} layers are to be kept of {adapter.depth(config)}"
            hint = f"give a number from 1 to {adapter.depth(config)}"
            raise OptionError(what, where="--model.num_layers", hint=hint)
        adapter.shorten(config, num_layers)
    return config


def adapter_error(source: str) -> BackboneError:
    """Return the error for a folder, or a repository on the hub, that holds a PEFT adapter."""
    what = "this is a PEFT adapter (adapter_config.json), which is not applied to the weights"
    folder = Path(source)
    if (folder / "early_exit.json").is_file() and not (folder / SAVED_WEIGHTS).exists():  # of save --as-adapter
        hint = f"write it merged, and give that folder: ee-lightning save {source} FOLDER"
    else:
        hint = (
            "merge it, in Python: merge_and_unload().save_pretrained(FOLDER), and give that folder; "
            "or remove the adapter's files to use the weights without it"
        )
    return BackboneError(what, where=source, hint=hint)


def _encoder_of_saved(path: str, config: PreTrainedConfig, source: str) -> PreTrainedModel:
    """Return the encoder of a saved model, of which a shortened configuration takes the first layers."""
    with without_initialisation():
        encoder = make_encoder(config, source)
    if hasattr(encoder, "pooler"):
        encoder.pooler = None  # type: ignore[assignment] # the exits pool for themselves
    try:
        with safe_open(str(cached_file(path, SAVED_WEIGHTS)), framework="pt") as stored:
            encoder.load_state_dict({name: stored.get_tensor(_OF_SAVED + name) for name in encoder.state_dict()})
    except Exception as error:  # safetensors, PyTorch and the hub's client each raise their own kinds
        what = f"the weights of the saved model can't be loaded: {first_line(error)}"
        raise BackboneError(what, where=source, hint="save the model again: ee-lightning save") from error
    check_finite_weights(encoder.state_dict(), source)
    return encoder


@contextmanager
def _reading_config(path: str, source: str) -> Iterator[None]:
    try:
        yield
    except BackboneError:
        raise
    except Exception as error:  # as below, each raises its own kinds
        what = f"no backbone can be read there: {first_line(error)}"
        raise BackboneError(what, where=source, hint=_hint(path)) from error


def path_of(source: str) -> str:
    """Return where weights are: the folder of packaged ones, or the name itself."""
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


def make_encoder(config: PreTrainedConfig, where: object) -> PreTrainedModel:
    """Make the encoder of a configuration, in float32, or raise a BackboneError that says where it is from."""
    try:
        encoder: PreTrainedModel = AutoModel.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
        for name, module in encoder.named_modules():
            if isinstance(module, nn.Embedding) and not module.num_embeddings:
                raise ValueError(f"the table {name} has no rows")
        return encoder
    except Exception as error:  # transformers and PyTorch raise many kinds for sizes that make no sense
        what = f"no model can be made of the configuration: {str(error)[:300]}"
        raise BackboneError(what, where=where, hint="give it as it was written") from error


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
        what = f"config.json says {num_layers} layers{exits}, but the weights are only {num_tensors} tensors"
        raise BackboneError(what, where=where, hint="give weights and configuration of the same model")


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
            what = f"{name} has the shape {list(found)} in the weights, and {list(tensor.shape)} by config.json"
            raise BackboneError(what, where=source, hint="give weights and configuration of the same model")


def _check_layers_used(unused: Iterable[str], encoder: PreTrainedModel, num_layers: int | None, source: str) -> None:
    """Raise a BackboneError if the weights of a layer were not all used; layers that are not kept may have any."""
    lists = {name: each for name, each in encoder.named_modules() if isinstance(each, nn.ModuleList)}
    layers = [f"{name}.{child}." for name, each in lists.items() for child, _ in each.named_children()]
    inside = tuple(f"{name}." for name in lists) if num_layers is None else tuple(layers)
    names = (name.removeprefix(f"{encoder.base_model_prefix}.") for name in unused)
    if left := sorted(name for name in names if name.startswith(inside)):
        tensors = counted(len(left), "tensor")
        what = f"the model that config.json describes has no place for {tensors} of the weights, such as {left[0]}"
        hint = "use weights and configuration of the same model, of a kind that the installed transformers runs; "
        hint += "to take the first layers alone, give their number: --model.num_layers"
        raise BackboneError(what, where=source, hint=hint)


def check_finite_weights(tensors: Mapping[str, Tensor], where: object) -> None:
    """Raise a BackboneError if a tensor, by name, holds NaN or infinity."""
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        what = f"the weights are not finite: there is NaN or infinity in {broken[0]}{more}"
        hint = "use weights from before the training diverged, or copy the file again if it was damaged"
        raise BackboneError(what, where=where, hint=hint)


def _stored_shapes(path: str) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of all tensors; none where the files can't be read, which the loader says better."""
    try:
        shapes: dict[str, tuple[int, ...]] = {}
        for file in weight_files(path):
            with safe_open(file, framework="pt") as tensors:
                shapes.update({name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()})  # noqa: SIM118
        return shapes
    except Exception:  # safetensors, the hub's client and the network below it each raise their own kinds
        return {}


def weight_files(path: str) -> list[str]:
    """Return the files of the weights of a folder, or of a repository on the hub."""
    whole = cached_file(path, "model.safetensors", _raise_exceptions_for_missing_entries=False)
    if whole is not None:
        return [whole]
    index = Path(str(cached_file(path, "model.safetensors.index.json")))
    parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return [str(cached_file(path, part)) for part in sorted(parts)]
