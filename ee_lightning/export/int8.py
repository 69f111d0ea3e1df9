"""Products in whole numbers: weights by column, activations by a scale that is the same for all samples."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ee_lightning.export.fusion import MICROSOFT, add, add_weight, array_of, clean, replace
from ee_lightning.export.sessions import run, session_of
from ee_lightning.export.tracing import HIDDEN, NEXT, Stages

Array = NDArray[np.float32]
Feeds = Mapping[str, NDArray[np.int64]]
_STEPS = 255
_HIGHEST = 127
_ALPHA = 0.85


class Range(NamedTuple):
    """The least and the largest number that each channel of an activation was, ``[channels]`` each."""

    low: Array
    high: Array

    @classmethod
    def of(cls, array: Array) -> "Range":
        """Return the range of an array, ``[batch, length, channels]``, with 0."""
        return cls(np.minimum(array.min((0, 1)), 0), np.maximum(array.max((0, 1)), 0))

    def joined(self, other: "Range | None") -> "Range":
        """Return what holds both."""
        return self if other is None else Range(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def smoothing(self, weight: Array) -> Array:
        """Return what to divide the channels by, and to multiply the rows of a matrix with, ``[channels]``.

        Large channels pass most of what they are larger on to their weights, as in SmoothQuant (Xiao et al. 2023, arXiv
        2211.10438). Its α is higher here, because weights have a step for each column: by simulation on a sentence
        encoder's layers, 0.85 leaves a third to two thirds of the error of one step for a whole sample.
        """
        activation, rows = np.maximum(-self.low, self.high), np.abs(weight).max(1)  # [channels] each
        known = (activation > 0) & (rows > 0)
        smoothing = np.where(known, activation, 1) ** _ALPHA / np.where(known, rows, 1) ** (1 - _ALPHA)  # [channels]
        return smoothing.astype(np.float32)


Ranges = dict[int, dict[str, Range]]
"""By layer, then by the name of what goes into a product."""


def calibrate(stages: Stages, rows: Iterable[Feeds]) -> Ranges:
    """Observe what goes into the products of every layer.

    Args:
        stages: The stages in float32.
        rows: Of each row ``input_ids`` and so on, ``[1, length]``, without padding.
    """
    ranges: Ranges = {layer: {} for layer in stages.layers}
    names = {layer: _inputs_of_products(graph) for layer, graph in stages.layers.items()}
    embed = session_of(stages.embed)
    observed = {layer: session_of(_with_outputs(graph, names[layer])) for layer, graph in stages.layers.items()}
    for feeds in rows:
        (hidden,) = run(embed, feeds, [NEXT])
        for layer, session in observed.items():
            inner = [name for name in names[layer] if name != HIDDEN]
            found = dict(zip([NEXT, *inner], run(session, {**feeds, HIDDEN: hidden}, [NEXT, *inner]), strict=True))
            found[HIDDEN], hidden = hidden, found[NEXT]
            for name in names[layer]:
                ranges[layer][name] = Range.of(found[name]).joined(ranges[layer].get(name))
    return ranges


def quantise(graph: ir.Graph, ranges: Mapping[str, Range]) -> None:
    """Let the products of a layer with constant matrices, attention's own among them, be of whole numbers.

    A number is a step times its whole number, from 0 to 255 for activations and from -127 to 127 for weights. The
    steps of weights are those of their columns, and the steps of activations were calibrated, so what comes out for a
    token does not depend on the others of its batch.
    """
    products = [node for node in graph if _is_product(node) or _is_attention(node)]
    found = [ranges[_name_of_input(node)] for node in products]
    for node, range_of in zip(products, found, strict=True):
        (_quantise_attention if _is_attention(node) else _quantise_product)(graph, node, range_of)
    clean(graph)


def _is_product(node: ir.Node) -> bool:
    if (node.op_type, node.domain) != ("MatMul", "") or node.inputs[0] is None or node.inputs[0].is_initializer():
        return False
    weight = array_of(node.inputs[1])
    return weight is not None and weight.ndim == 2


def _is_attention(node: ir.Node) -> bool:
    return (node.op_type, node.domain) == ("Attention", MICROSOFT)


def _inputs_of_products(graph: ir.Graph) -> list[str]:
    return list(dict.fromkeys(_name_of_input(node) for node in graph if _is_product(node) or _is_attention(node)))


def _name_of_input(node: ir.Node) -> str:
    assert node.inputs[0] is not None
    return str(node.inputs[0].name)


def _with_outputs(graph: ir.Graph, names: Iterable[str]) -> ir.Graph:
    """Return a graph that gives some of its inner values too."""
    graph = graph.clone()
    values = {str(value.name): value for node in graph for value in node.outputs}
    for name in names:
        if name != HIDDEN and values[name] not in graph.outputs:
            values[name].type = ir.TensorType(ir.DataType.FLOAT)
            graph.outputs.append(values[name])
    return graph


def _quantise_product(graph: ir.Graph, node: ir.Node, range_of: Range) -> None:
    weight = array_of(node.inputs[1])
    assert weight is not None
    activation, smoothed = _whole_numbers(graph, node, range_of, weight)
    product = _product(graph, node, activation, smoothed, f"{node.name}.int8")
    replace(graph, node.outputs[0], product)
    graph.remove(node, safe=True)


def _quantise_attention(graph: ir.Graph, node: ir.Node, range_of: Range) -> None:
    """Project in whole numbers, then attend; ONNX Runtime's own operator for both takes a scale by column wrongly."""
    _, weight, bias, *mask = node.inputs
    array = array_of(weight)
    assert array is not None
    activation, smoothed = _whole_numbers(graph, node, range_of, array)
    projected = [
        _product(graph, node, activation, part, f"{node.name}.{name}")
        for name, part in zip(("query", "key", "value"), np.split(smoothed, 3, axis=1), strict=True)
    ]
    attention = add(
        graph,
        node,
        "MultiHeadAttention",
        [*projected, bias, *mask],
        f"{node.name}.attention",
        domain=MICROSOFT,
        **{name: node.attributes[name].value for name in ("num_heads", "scale", "mask_filter_value")},
    )
    replace(graph, node.outputs[0], attention.outputs[0])
    graph.remove(node, safe=True)


class _Whole(NamedTuple):
    """An array in whole numbers, its scale or those of its columns, and the whole number that stands for 0."""

    whole: ir.Value
    scale: ir.Value
    zero: ir.Value


def _whole_numbers(graph: ir.Graph, node: ir.Node, range_of: Range, weight: Array) -> tuple[_Whole, Array]:
    """Return what goes into a product in whole numbers, and the matrix that it is then multiplied with."""
    smoothing, name = range_of.smoothing(weight), str(node.name)
    low, high = float((range_of.low / smoothing).min()), float((range_of.high / smoothing).max())
    step = np.float32(max(high - low, 1e-6) / _STEPS)
    scale = add_weight(graph, f"{name}.scale", np.asarray(step))
    zero = add_weight(graph, f"{name}.zero", np.asarray(np.uint8(np.clip(round(-low / step), 0, _STEPS))))
    factors = add_weight(graph, f"{name}.smoothing", (1 / smoothing).astype(np.float32))
    smooth = add(graph, node, "Mul", [node.inputs[0], factors], f"{name}.smooth").outputs[0]
    whole = add(graph, node, "QuantizeLinear", [smooth, scale, zero], f"{name}.whole").outputs[0]
    return _Whole(whole, scale, zero), weight * smoothing[:, np.newaxis]


def _product(graph: ir.Graph, node: ir.Node, activation: _Whole, weight: Array, name: str) -> ir.Value:
    steps = np.maximum(np.abs(weight).max(0), 1e-30) / np.float32(_HIGHEST)  # [columns]
    whole = np.clip(np.rint(weight / steps), -_HIGHEST, _HIGHEST).astype(np.int8)  # [rows, columns]
    columns = _Whole(
        add_weight(graph, f"{name}.weight", np.ascontiguousarray(whole)),
        add_weight(graph, f"{name}.steps", steps.astype(np.float32)),
        add_weight(graph, f"{name}.zeros", np.zeros(weight.shape[1], np.int8)),
    )
    given = [activation.whole, columns.whole, activation.scale, columns.scale, activation.zero, columns.zero]
    return add(graph, node, "MatMulIntegerToFloat", given, name, domain=MICROSOFT).outputs[0]
