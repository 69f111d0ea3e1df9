"""Rewrites of traced graphs into the fused operators of ONNX Runtime, where a graph has what these do."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from ee_lightning.export.tracing import MASK

MICROSOFT = "com.microsoft"
_LOWEST = -3.4e38  # what a masked token's attention is set to: infinity, as near as the operator's attribute takes it
_SWAPPED = [0, 2, 1, 3]
ATTENTION = {"Attention": 3, "MultiHeadAttention": 4}
"""ONNX Runtime's operators for attention, and which of their inputs is the mask."""


def fuse(graph: ir.Graph) -> None:
    """Rewrite a graph in place; what matches no rule stays as it was traced."""
    _fold_transposed_weights(graph)
    for rule in (_attention, _sum_before_normalisation, _biased_gelu):
        for node in list(graph):
            rule(graph, node)
    clean(graph)


def clean(graph: ir.Graph) -> None:
    """Remove nodes and weights that nothing uses; inputs stay."""
    inputs = list(graph.inputs)
    RemoveUnusedNodesPass()(ir.Model(graph, ir_version=10))
    assert inputs == list(graph.inputs)


def add(
    graph: ir.Graph,
    before: ir.Node,
    op: str,
    inputs: Sequence[ir.Value | None],
    name: str,
    *,
    domain: str = "",
    outputs: int = 1,
    **attributes: object,
) -> ir.Node:
    """Put a node before another, and return it."""
    node = ir.node(op, inputs, attributes=attributes, domain=domain, num_outputs=outputs, name=name)  # type: ignore[arg-type]
    for place, output in enumerate(node.outputs):
        output.name = name if place == 0 else f"{name}.{place}"
    graph.insert_before(before, node)
    return node


def add_weight(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    """Return a constant of a graph, made if there is none of this name."""
    if name not in graph.initializers:
        graph.register_initializer(constant(name, array))
    return graph.initializers[name]


def constant(name: str, array: np.ndarray) -> ir.Value:
    """Return a constant that is in no graph yet."""
    tensor = ir.tensor(array, name=name)
    return ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)


def array_of(value: ir.Value | None) -> np.ndarray | None:
    """Return a constant's array; None for what is computed or given."""
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def made_by(value: ir.Value | None, op: str, domain: str = "") -> ir.Node | None:
    """Return the node that makes a value, if it is of this kind."""
    node = None if value is None else value.producer()
    return node if node is not None and (node.op_type, node.domain) == (op, domain) else None


def replace(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """Let all that takes a value take another; an output keeps its name."""
    is_output, name = old in graph.outputs, old.name
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    if is_output:
        old.name, new.name = f"{name}.before", name


def is_used_once(value: ir.Value) -> bool:
    """Whether one node alone takes a value."""
    return len(list(value.uses())) == 1 and not value.is_graph_output()


class Linear(NamedTuple):
    """A product with a constant matrix, and a constant vector that is added to it."""

    product: ir.Value
    input: ir.Value
    weight: np.ndarray
    bias: np.ndarray


def _fold_transposed_weights(graph: ir.Graph) -> None:
    for node in list(graph):
        if node.op_type == "Transpose" and node.inputs[0] is not None and node.inputs[0].is_initializer():
            array, name = array_of(node.inputs[0]), node.inputs[0].name
            assert array is not None
            order = node.attributes["perm"].as_ints()
            folded = add_weight(graph, f"{name}.transposed", np.ascontiguousarray(array.transpose(order)))
            replace(graph, node.outputs[0], folded)
            graph.remove(node, safe=True)


def _attention(graph: ir.Graph, node: ir.Node) -> None:
    """Attention to all tokens but padding, of queries, keys and values that are products.

    If these are of one hidden state, one operator makes them too, by one product.
    """
    if node.op_type != "Attention" or node.domain != "" or len([*node.inputs]) > 4 or len(node.outputs) > 1:
        return
    projections = [found for value in node.inputs[:3] if (found := _projection(value)) is not None]
    merged = _merged_heads(node.outputs[0])
    mask = node.inputs[3] if len(node.inputs) > 3 else None
    if merged is None or len(projections) < 3 or not (mask is None or _masks_padding(mask)):
        return
    if _number(node, "is_causal") or _number(node, "softcap"):
        return
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    if shape is None or not isinstance(shape[1], int) or len({each.weight.shape[1] for each in projections}) > 1:
        return
    given = None
    if mask is not None:
        (given,) = (each for each in graph.inputs if each.name == MASK)
        given = add(graph, node, "Cast", [given], f"{node.name}.mask", to=ir.DataType.INT32).outputs[0]
    bias = add_weight(graph, f"{node.name}.bias", np.concatenate([each.bias for each in projections]))
    if len({each.input for each in projections}) == 1:
        weight = add_weight(graph, f"{node.name}.weight", np.concatenate([each.weight for each in projections], 1))
        op, inputs = "Attention", [projections[0].input, weight, bias, given]
    else:
        op, inputs = "MultiHeadAttention", [*(each.product for each in projections), bias, given]
    fused = add(
        graph,
        node,
        op,
        inputs if given is not None else inputs[:-1],
        f"{node.name}.fused",
        domain=MICROSOFT,
        num_heads=shape[1],
        scale=node.attributes["scale"].as_float() if "scale" in node.attributes else 0.0,
        mask_filter_value=_LOWEST,
    )
    replace(graph, merged, fused.outputs[0])


def _projection(value: ir.Value | None) -> Linear | None:
    """Return the product that makes the heads, ``[batch, heads, length, head width]``."""
    swapped = made_by(value, "Transpose")
    if swapped is None or list(swapped.attributes["perm"].as_ints()) != _SWAPPED:
        return None
    reshaped = made_by(swapped.inputs[0], "Reshape")
    return None if reshaped is None else _linear(reshaped.inputs[0])


def _linear(value: ir.Value | None) -> Linear | None:
    if (biased := made_by(value, "Add")) is None:
        return None
    for product, bias in (biased.inputs, biased.inputs[::-1]):
        array, multiplied = array_of(bias), made_by(product, "MatMul")
        if product is not None and array is not None and array.ndim == 1 and multiplied is not None:
            weight = array_of(multiplied.inputs[1])
            if weight is not None and weight.ndim == 2 and multiplied.inputs[0] is not None:
                return Linear(product, multiplied.inputs[0], weight, array)
    return None


def _merged_heads(value: ir.Value) -> ir.Value | None:
    """Return the heads side by side, ``[batch, length, width]``, if nothing else is made of what attention gives."""
    node: ir.Node | None = None
    for op in ("Transpose", "Reshape"):
        if not is_used_once(value):
            return None
        node = next(iter(value.uses())).node
        if node.op_type != op or (op == "Transpose" and list(node.attributes["perm"].as_ints()) != _SWAPPED):
            return None
        value = node.outputs[0]
    return value if value.shape is not None and len(value.shape) == 3 else None


def _masks_padding(value: ir.Value) -> bool:
    """Whether a mask says of each token whether it is padding, for all tokens alike."""
    found, node = set[str](), value.producer()
    while node is not None:
        found.add(node.op_type)
        if node.op_type == "Unsqueeze":
            axes = array_of(node.inputs[1])
            if axes is None or axes.tolist() != [1, 2]:
                return False
        if node.op_type not in ("Expand", "Unsqueeze", "Cast") or node.inputs[0] is None:
            return False
        value = node.inputs[0]
        node = value.producer()
    return value.name == MASK and value.is_graph_input() and "Unsqueeze" in found


def _sum_before_normalisation(graph: ir.Graph, node: ir.Node) -> None:
    """What is normalised as one sum, of a product, its bias and what went around it.

    For two sums before a normalisation ONNX Runtime has an operator of its own, and takes it unasked. That one takes
    six times as long as a sum of three and a plain normalisation, which it leaves as they are.
    """
    if node.op_type != "LayerNormalization" or (summed := made_by(node.inputs[0], "Add")) is None:
        return
    terms = list(summed.inputs)
    for place, branch in enumerate(summed.inputs):
        if branch is not None and is_used_once(branch) and _linear(branch) is not None and len(terms) == 2:
            biased = branch.producer()
            assert biased is not None
            terms[place : place + 1] = biased.inputs
    total = add(graph, summed, "Sum", terms, f"{node.name}.sum")
    replace(graph, summed.outputs[0], total.outputs[0])
    graph.remove(summed, safe=True)


def _biased_gelu(graph: ir.Graph, node: ir.Node) -> None:
    if node.op_type != "Gelu" or node.domain != "":
        return
    value = node.inputs[0]
    if value is None or not is_used_once(value) or _linear(value) is None or (biased := value.producer()) is None:
        return
    product, bias = biased.inputs if array_of(biased.inputs[1]) is not None else biased.inputs[::-1]
    op = "FastGelu" if node.attributes["approximate"].as_string() == "tanh" else "BiasGelu"
    fused = add(graph, node, op, [product, bias], f"{node.name}.fused", domain=MICROSOFT)
    replace(graph, node.outputs[0], fused.outputs[0])
    graph.remove(node, safe=True)


def _number(node: ir.Node, name: str) -> float:
    attribute = node.attributes.get(name)
    return 0 if attribute is None else attribute.value


def has_fused_attention(graph: ir.Graph) -> bool:
    """Whether a graph has one of ONNX Runtime's own operators for attention."""
    return any(node.domain == MICROSOFT and node.op_type in ATTENTION for node in graph)
