"""A model's stages as ONNX graphs, traced through transformers' own modules."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
import torch
from onnxscript.optimizer import optimize
from torch import Tensor, nn
from torch.export import Dim
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from ee_lightning.errors import BackboneError, first_line
from ee_lightning.models import MultiExitModel

OPSET = 23
"""The first whose attention is one operator."""
IDS, MASK, TYPES, HIDDEN, NEXT, LOGITS = (
    *("input_ids", "attention_mask", "token_type_ids"),
    *("hidden", "next_hidden", "logits"),
)


@dataclass(frozen=True)
class Stages:
    """The graphs of a model, each for a batch and a length of any size.

    Attributes:
        embed: From ``input_ids``, ``attention_mask`` and, where the model tells sentences apart, ``token_type_ids``,
            ``[batch, length]`` each, to ``next_hidden``, ``[batch, length, width]``.
        layers: By layer, from 1: from ``hidden`` and ``attention_mask`` to ``next_hidden``.
        exits: By the layer that they are behind: from ``hidden`` and ``attention_mask`` to ``logits``,
            ``[batch, classes]``, and the model's extras, ``[batch]`` each.
    """

    embed: ir.Graph
    layers: Mapping[int, ir.Graph]
    exits: Mapping[int, ir.Graph]


def trace_stages(model: MultiExitModel, exit_layers: Sequence[int]) -> Stages:
    """Trace every layer up to the last exit asked for, and these exits; layers that do the same are traced once.

    Args:
        model: The model, on the CPU, in evaluation mode.
        exit_layers: The layers with an exit to trace, counted from 1, in rising order.

    Raises:
        BackboneError: The model can't be traced.
    """
    tracer = _Tracer(model.backbone.encoder.config.model_type)
    takes_types = getattr(model.backbone.encoder.config, "type_vocab_size", 0) >= 2
    tokens = [torch.ones(2, 5, dtype=torch.int64) for _ in range(3 if takes_types else 2)]
    if takes_types:
        tokens[-1] = torch.zeros_like(tokens[0])
    hidden, mask = torch.randn(2, 5, model.backbone.hidden_size), torch.ones(2, 5, dtype=torch.int64)
    said = [LOGITS, *model.heads.extras]
    return Stages(
        embed=tracer(_Embed(model), tokens, [IDS, MASK, TYPES][: len(tokens)], [NEXT]),
        layers={
            layer: tracer(_Layer(model, layer), [hidden, mask], [HIDDEN, MASK], [NEXT])
            for layer in range(1, exit_layers[-1] + 1)
        },
        exits={layer: tracer(_Exit(model, layer), [hidden, mask], [HIDDEN, MASK], said) for layer in exit_layers},
    )


class _Embed(nn.Module):
    def __init__(self, model: MultiExitModel) -> None:
        super().__init__()
        self.backbone = model.backbone

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        return self.backbone.embed(input_ids, attention_mask, token_type_ids, is_padded=True).hidden


class _Layer(nn.Module):
    def __init__(self, model: MultiExitModel, layer: int) -> None:
        super().__init__()
        self.backbone, self.index = model.backbone, layer - 1

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        return self.backbone.layer(self.index, self.backbone.state(hidden, attention_mask, is_padded=True)).hidden


class _Exit(nn.Module):
    def __init__(self, model: MultiExitModel, layer: int) -> None:
        super().__init__()
        self.backbone, self.heads, self.number = model.backbone, model.heads, model.exit_after(layer)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        said = self.heads(self.number, self.backbone.state(hidden, attention_mask, is_padded=True))
        return (said.logits, *said.extras.values())


class _Tracer:
    """Traces modules of tensors with a batch and a length first; of those that do the same, only the first.

    Two modules do the same where they call the same operators, with the same numbers and on the same tensors, but for
    their weights: then the graph of one is that of the other, with its own weights.
    """

    def __init__(self, family: str) -> None:
        self._family = family
        self._traced = dict[str, tuple[ir.Graph, list[str]]]()

    def __call__(
        self, module: nn.Module, arguments: Sequence[Tensor], inputs: Sequence[str], outputs: Sequence[str]
    ) -> ir.Graph:
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        calls = _Calls(tensors, arguments)
        with torch.no_grad(), calls:
            module(*arguments)
        signature = "\n".join([type(module).__name__, *calls.made])
        if signature not in self._traced:
            varies = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},) * len(arguments)
            graph = trace(module, tuple(arguments), inputs, outputs, self._family, varies)
            self._traced[signature] = graph, calls.weights
        template, weights = self._traced[signature]
        own = dict(zip(weights, calls.weights, strict=True))
        graph = template.clone()
        for value in [value for value in graph.inputs if value.name not in inputs]:
            graph.inputs.remove(value)
            name = own[str(value.name)]
            value.name, value.const_value = name, ir.tensor(tensors[name].detach().contiguous().numpy(), name=name)
            graph.initializers[name] = value
        return graph


class _Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down every operator that is called, in order; weights and other tensors by the order they come in."""

    def __init__(self, tensors: Mapping[str, Tensor], arguments: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._names = {id(tensor): name for name, tensor in tensors.items()}
        self._kept = [*arguments]  # so that no other tensor gets the identity of one that is gone
        self._numbers = {id(tensor): f"argument {place}" for place, tensor in enumerate(arguments)}
        self.made, self.weights = list[str](), list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        taken = tree_map(self._said, (args, kwargs or {}))
        returned = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(returned):
            if isinstance(tensor, Tensor) and id(tensor) not in self._numbers:
                self._keep(tensor, f"result {len(self._numbers)}")
        self.made.append(f"{func} {taken} {tree_map(self._said, returned)}")
        return returned

    def _said(self, value: object) -> object:
        if not isinstance(value, Tensor):
            return repr(value)
        if id(value) not in self._numbers:
            if (name := self._names.get(id(value))) is None:
                self._keep(value, f"constant {value.tolist()}")
            else:
                self._keep(value, f"weight {len(self.weights)}")
                self.weights.append(name)
        return f"{self._numbers[id(value)]} {list(value.shape)} {value.dtype}"

    def _keep(self, tensor: Tensor, name: str) -> None:
        self._kept.append(tensor)
        self._numbers[id(tensor)] = name


def trace(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    where: str,
    varies: Any = None,
) -> ir.Graph:
    """Trace a module into a graph whose weights are inputs too, by their names, behind its own inputs.

    Args:
        module: The module.
        arguments: What its ``forward`` takes.
        inputs: Their names.
        outputs: Names of the tensors that it returns.
        where: What is traced, for an error.
        varies: Which dimensions of each argument may have any size; None for none.

    Raises:
        BackboneError: It can't be traced.
    """
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                arguments,
                dynamo=True,
                dynamic_shapes=varies,
                input_names=inputs,
                output_names=outputs,
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
    except Exception as error:  # torch raises many kinds
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        what = f"the model can't be traced: {first_line(cause)}"
        hint = "run it with the torch engine, which takes every model: save and predict"
        raise BackboneError(what, where=where, hint=hint) from error
    assert program is not None
    graph, weights = program.model.graph, {*module.state_dict()} | {name for name, _ in module.named_buffers()}
    for name in [name for name in graph.initializers if name in weights]:
        value = graph.initializers.pop(name)
        value.const_value = None
        graph.inputs.append(value)
    with _quiet():
        optimize(program.model)
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on packages that are not there, and on its own old names, off the terminal."""
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnx_ir", "onnxscript")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
