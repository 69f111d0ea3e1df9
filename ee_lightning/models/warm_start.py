"""Exits that start from what the weights have: a fine-tuned classifier's own head, or a saved model's exits."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.utils.hub import cached_file

from ee_lightning.errors import OptionError
from ee_lightning.files import read_json
from ee_lightning.models.backbones.loading import SAVED_MODEL, SAVED_WEIGHTS, path_of, weight_files
from ee_lightning.models.multi_exit import MultiExitModel

SAVED_OPTIONS = "early_exit.json"
_CLASSIFIERS = {
    "bert": ("bert.pooler.dense", "classifier"),
    "albert": ("albert.pooler", "classifier"),
    **dict.fromkeys(("roberta", "xlm-roberta", "camembert", "mpnet"), ("classifier.dense", "classifier.out_proj")),
}
"""The dense layer and the linear one of the classifiers that have an exit's form, with tanh between them."""


class Heads(NamedTuple):
    """Heads that the weights have.

    Attributes:
        what: What they are, in words.
        tensors: By their names in `ExitHeads`.
        labels: The words for their labels, in their order; none where these are not known.
        reason: Why they don't fit the model; None where they do.
    """

    what: str
    tensors: Mapping[str, Tensor]
    labels: tuple[str, ...]
    reason: str | None = None


def start_heads(
    model: MultiExitModel, source: str, num_layers: int | None, labels: Sequence[str], *, required: bool
) -> str | None:
    """Let exits start from the heads that the weights have, if these fit, and return what was done, in words.

    A fine-tuned classifier's head becomes the last exit's; a saved model's heads become those of all exits. Labels of
    the same words are put into the order of the task.

    Args:
        model: The model, whose encoder has these weights.
        source: The weights, as `load_backbone` takes them.
        num_layers: The number of layers that were kept; None for all.
        labels: The words for the task's labels, in their order; none where these are not known.
        required: Whether weights without heads that fit are an error.

    Returns:
        None where the weights have no heads.

    Raises:
        OptionError: There are no heads that fit, and they are required.
    """
    found = _find_heads(model, source, num_layers)
    if found is None or found.reason is not None:
        reason = "these weights have no classifier" if found is None else f"{found.what} can't be kept: {found.reason}"
        if required:
            hint = "leave --model.keep_heads out; new heads are then trained"
            raise OptionError(reason, where=source, hint=hint)
        return None if found is None else f"new heads: {reason}"
    order, said = _order(found.labels, labels)
    state = model.heads.state_dict()
    for name, tensor in found.tensors.items():
        rows = tensor if order is None or not name.startswith("classifiers.") else tensor[order]
        state[name] = rows.to(state[name])
    model.heads.load_state_dict(state)
    return f"{found.what} {'are' if found.what.endswith('s') else 'is'} kept{said}"


def _find_heads(model: MultiExitModel, source: str, num_layers: int | None) -> Heads | None:
    path = path_of(source)
    fields = PreTrainedConfig.get_config_dict(path)[0]
    if fields.get("model_type") == SAVED_MODEL:
        return _of_saved_model(model, path, num_layers)
    if not any(str(each).endswith("ForSequenceClassification") for each in fields.get("architectures") or ()):
        return None
    what, family, last = "the fine-tuned classifier", str(fields["model_type"]), model.num_exits - 1
    labels = _names_of(fields.get("id2label") or {})
    if family not in _CLASSIFIERS:
        return Heads(what, {}, labels, f"that of {family} has another form than an exit")
    if num_layers is not None:
        return Heads(what, {}, labels, f"it stands after the last layer, and the first {num_layers} are kept")
    if model.heads.options.pooling != "cls":
        return Heads(what, {}, labels, "it takes the first token, and the exits the mean (--model.heads.pooling)")
    dense, linear = _CLASSIFIERS[family]
    pooler = last if model.heads.options.pooler == "per_exit" else 0
    names = {
        f"{ours}.{part}": f"{theirs}.{part}"
        for ours, theirs in ((f"poolers.{pooler}", dense), (f"classifiers.{last}", linear))
        for part in ("weight", "bias")
    }
    tensors = _read(weight_files(path), names)
    if len(tensors) < len(names):
        return Heads(what, {}, labels, "the weights lack a part of it")
    if len(tensors[f"classifiers.{last}.bias"]) != model.target.num_classes:
        number = len(tensors[f"classifiers.{last}.bias"])
        return Heads(what, {}, labels, f"it has {number} outputs, and the task {model.target.num_classes}")
    return Heads(f"{what}, the last exit's head,", tensors, labels)


def _names_of(id2label: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words for labels; none where transformers numbered them."""
    names = tuple(str(id2label[number]) for number in sorted(id2label, key=int))
    return () if all(re.fullmatch(r"LABEL_\d+", name) for name in names) else names


def _of_saved_model(model: MultiExitModel, path: str, num_layers: int | None) -> Heads:
    saved = read_json(Path(str(cached_file(path, SAVED_OPTIONS))))
    labels, what = tuple(map(str, saved.get("label_names", ()))), "the saved model's heads"
    if num_layers is not None:
        return Heads(what, {}, labels, f"they are of all layers, and the first {num_layers} are kept")
    expected = model.heads.state_dict()
    file = str(cached_file(path, SAVED_WEIGHTS))
    with safe_open(file, framework="pt") as stored:
        theirs = {name.removeprefix("heads.") for name in stored.keys() if name.startswith("heads.")}  # noqa: SIM118
    tensors = _read([file], {name: f"heads.{name}" for name in expected})
    heads = saved.get("heads", {})
    same = theirs == expected.keys() and all(tensors[name].shape == each.shape for name, each in expected.items())
    at = heads.get("exits", "every")
    if not same or (heads.get("pooling") or "cls") != model.heads.options.pooling or not _are_behind(at, model):
        return Heads(what, {}, labels, "these exits are others, or of another number of labels (--model.heads)")
    return Heads(what, tensors, labels)


def _are_behind(exits: Any, model: MultiExitModel) -> bool:
    depth = model.backbone.num_layers
    layers = {"every": tuple(range(1, depth + 1)), "last": (depth,)}
    return model.layers_of_exits == (layers[exits] if isinstance(exits, str) else tuple(exits))


def _read(files: Sequence[str], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the tensors of some files, by new names of the old, in float32; those that are missing are left out."""
    found: dict[str, Tensor] = {}
    for file in files:
        with safe_open(file, framework="pt") as stored:
            there = set(stored.keys())
            found |= {new: stored.get_tensor(old).to(torch.float32) for new, old in names.items() if old in there}
    return found


def _order(theirs: Sequence[str], ours: Sequence[str]) -> tuple[list[int] | None, str]:
    """Return the order in which to take their rows; None takes them as they are."""
    places = {label.casefold(): place for place, label in enumerate(theirs)}
    if {label.casefold() for label in ours} == places.keys() and len(ours) == len(theirs):
        return [places[label.casefold()] for label in ours], ""
    if not ours or not theirs:
        return None, ""
    return None, f", its labels {', '.join(theirs)} as {', '.join(ours)}"
