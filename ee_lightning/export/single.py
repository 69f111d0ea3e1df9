"""One graph for one row: each exit's judgement decides whether the rest of the model is run at all."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from ee_lightning.exits import Criterion, ExitOutput
from ee_lightning.export.fusion import (
    ATTENTION,
    MICROSOFT,
    add,
    add_weight,
    clean,
    constant,
    is_used_once,
    made_by,
    replace,
)
from ee_lightning.export.tracing import HIDDEN, LOGITS, MASK, NEXT, OPSET, Stages, trace
from ee_lightning.functional import Target

THRESHOLDS, LABEL, SCORE, EXIT = "thresholds", "label", "score", "exit"
_OUTPUTS = (LABEL, SCORE, EXIT, LOGITS)


def single_graph(stages: Stages, criterion: Criterion, target: Target) -> ir.Graph:
    """Nest what comes after each exit in a branch of its own, which holds its weights.

    Weights outside the branches could not be brought into the order that products take them in when the graph is
    loaded, but only each time that it runs.

    Args:
        stages: The stages, without masks: a row that stands alone has no padding.
        criterion: When to leave; what it does is traced as it stands.
        target: What the exits predict.

    Returns:
        A graph from ``input_ids`` and perhaps ``token_type_ids``, ``[1, length]``, and ``thresholds``, ``[exits]``, to
        ``label``, ``score``, ``exit`` (from 1) and the exit's ``logits``.

    Raises:
        BackboneError: The criterion can't be traced.
    """
    said = next(iter(stages.exits.values())).outputs
    extras = [str(value.name) for value in said if value.name != LOGITS]
    return _Nesting(stages, _judgements(criterion, target, len(stages.exits), extras)).graph()


def alone(graph: ir.Graph) -> ir.Graph:
    """Return a stage as it is for samples without padding."""
    graph = graph.clone()
    masks = [value for value in graph.inputs if value.name == MASK]
    for node in list(graph):
        _average(graph, node)
    for mask in masks:
        for node in [use.node for use in mask.uses()]:
            for fused in [use.node for output in node.outputs for use in output.uses()]:
                if fused.domain == MICROSOFT and fused.op_type in ATTENTION:
                    fused.replace_input_with(ATTENTION[fused.op_type], None)
        if (uses := list(mask.uses())) and any(list(output.uses()) for use in uses for output in use.node.outputs):
            first = next(iter(graph))
            size = add(graph, first, "Shape", [graph.inputs[0]], "alone.size", start=0, end=2)
            one = add_weight(graph, "alone.one", np.ones((), np.int64))
            ones = add(graph, first, "Expand", [one, size.outputs[0]], "alone.mask").outputs[0]
            for use in uses:
                use.node.replace_input_with(use.idx, ones)
        graph.inputs.remove(mask)
    clean(graph)
    return graph


def _average(graph: ir.Graph, node: ir.Node) -> None:
    """Let a mean over the tokens that a mask leaves be one over all."""
    if node.op_type != "Div" or (squeezed := made_by(node.inputs[0], "Squeeze")) is None:
        return
    product, size = made_by(squeezed.inputs[0], "MatMul"), made_by(node.inputs[1], "ReduceSum")
    if product is None or size is None or (wide := made_by(product.inputs[0], "Unsqueeze")) is None:
        return
    weights, hidden = made_by(wide.inputs[0], "Cast"), product.inputs[1]
    if weights is None or weights.outputs[0] is not size.inputs[0] or hidden is None or not hidden.is_graph_input():
        return
    if (mask := weights.inputs[0]) is not None and mask.is_graph_input() and mask.name == MASK:
        axes = add_weight(graph, "alone.axes", np.array([1]))
        mean = add(graph, node, "ReduceMean", [hidden, axes], "alone.mean", keepdims=0)
        replace(graph, node.outputs[0], mean.outputs[0])


class _Judge(nn.Module):
    """Folds a criterion over what all exits say: the logits of each, and then its extras."""

    def __init__(self, criterion: Criterion, target: Target, extras: Sequence[str]) -> None:
        super().__init__()
        self._criterion, self._target, self._extras = criterion, target, extras

    def forward(self, *said: Tensor) -> tuple[Tensor, ...]:
        state, judged = self._criterion.start(1, self._target, torch.device("cpu")), list[Tensor]()
        width = 1 + len(self._extras)
        num_exits = len(said) // width
        for number in range(1, num_exits + 1):
            logits, *more = said[(number - 1) * width : number * width]
            extras = dict(zip(self._extras, more, strict=True))
            output = ExitOutput(number, num_exits, logits, extras, kind=self._target.kind)
            (score, label), state = self._criterion.step(output, state)
            judged += [score.clone(), label.clone()]
        return (*judged, self._criterion.fallback(output, state).clone())


def _judgements(criterion: Criterion, target: Target, num_exits: int, extras: Sequence[str]) -> ir.Graph:
    """Return the graph from what all exits say to their scores and labels, and to the last resort's label."""
    numbers = range(1, num_exits + 1)
    outputs = [f"{name}.{number}" for number in numbers for name in (SCORE, LABEL)]
    said = [torch.randn(1, target.num_classes), *(torch.rand(1) for _ in extras)]
    inputs = [f"{name}.{number}" for number in numbers for name in (LOGITS, *extras)]
    judge, given = _Judge(criterion, target, extras), tuple(each.clone() for _ in numbers for each in said)
    return trace(judge, given, inputs, [*outputs, "last"], criterion.name)


class _Nesting:
    def __init__(self, stages: Stages, judgements: ir.Graph) -> None:
        self._stages, self._judgements = stages, judgements
        self._layers = sorted(stages.exits)
        self._ids = [_input(value.name, ir.DataType.INT64, [1, "length"]) for value in stages.embed.inputs]
        self._thresholds = _input(THRESHOLDS, ir.DataType.FLOAT, [len(self._layers)])
        self._said = list[dict[str, ir.Value]]()
        self._nodes, self._weights = [list[ir.Node]() for _ in self._layers], [list[ir.Value]() for _ in self._layers]

    def graph(self) -> ir.Graph:
        """Build the graph, from the last exit outwards."""
        self._run_stages()
        self._judge()
        inner: ir.Graph | None = None
        for level in reversed(range(len(self._layers))):
            inner = self._level(level, inner)
        assert inner is not None
        return inner

    def _run_stages(self) -> None:
        """Put the layers up to each exit, and its head, on the exit's level."""
        given = {str(value.name): value for value in self._ids}
        hidden = self._inline(0, self._stages.embed, given, "embed")[NEXT]
        before = 0
        for level, layer in enumerate(self._layers):
            for number in range(before + 1, layer + 1):
                hidden = self._inline(level, self._stages.layers[number], {HIDDEN: hidden}, f"layer.{number}")[NEXT]
            self._said.append(self._inline(level, self._stages.exits[layer], {HIDDEN: hidden}, f"exit.{layer}"))
            before = layer

    def _judge(self) -> None:
        """Put each step of the criterion on the first level that knows all it takes."""
        graph, levels = self._judgements, dict[ir.Value, int]()
        said = dict[str, ir.Value]()
        for value in graph.inputs:
            name, _, number = str(value.name).rpartition(".")
            levels[value] = int(number) - 1
            said[str(value.name)] = self._said[levels[value]][name]
        for node in list(graph):
            level = max((levels.get(value, 0) for value in node.inputs if value is not None), default=0)
            levels.update(dict.fromkeys(node.outputs, level))
        outputs = {str(value.name): value for value in graph.outputs}
        for value in list(graph.inputs):
            value.replace_all_uses_with(said[str(value.name)])
        nodes, weights = _taken_apart(graph, "criterion")
        self._weights[0] += weights
        for node in nodes:
            self._nodes[max(levels[value] for value in node.outputs)].append(node)
        numbers = range(1, len(self._layers) + 1)
        self._scores, self._labels = ([outputs[f"{name}.{number}"] for number in numbers] for name in (SCORE, LABEL))
        self._last = outputs["last"]

    def _inline(self, level: int, stage: ir.Graph, given: Mapping[str, ir.Value], prefix: str) -> dict[str, ir.Value]:
        graph = stage.clone()
        outputs = {str(value.name): value for value in graph.outputs}
        for value in list(graph.inputs):
            value.replace_all_uses_with(given[str(value.name)])
        nodes, weights = _taken_apart(graph, prefix)
        self._nodes[level] += nodes
        self._weights[level] += weights
        return outputs

    def _level(self, level: int, inner: ir.Graph | None) -> ir.Graph:
        """Return the graph of a level: it runs its nodes, and what is within if the sample stays."""
        number, label = level + 1, self._labels[level]
        place, exit_number = self._number(level, [level], "place"), self._number(level, number, "number")
        nodes = [*self._nodes[level], _node("Gather", [self._thresholds, place], f"exit.{number}.threshold")]
        nodes.append(_node("GreaterOrEqual", [self._scores[level], nodes[-1].outputs[0]], f"exit.{number}.reached"))
        reached = nodes[-1].outputs[0]
        if inner is None:
            nodes += self._last_resort(level, reached)
            label = nodes[-1].outputs[0]
        leaving = (label, self._scores[level], exit_number, self._said[level][LOGITS])
        taken = [
            _node("Identity", [value], f"exit.{number}.{name}") for value, name in zip(leaving, _OUTPUTS, strict=True)
        ]
        if inner is None:
            nodes += taken
            outputs = [node.outputs[0] for node in taken]
        else:
            leave = [node.outputs[0] for node in taken]
            taken = [*_taken_out(nodes, label), *taken]
            branches = {"then_branch": _graph(f"leave.{number}", [], leave, taken, []), "else_branch": inner}
            nodes.append(_node("If", [reached], f"exit.{number}.choice", len(_OUTPUTS), **branches))
            outputs = list(nodes[-1].outputs)
        for value, like in zip(outputs, (self._labels[level], *leaving[1:]), strict=True):
            value.type, value.shape = like.type, like.shape
        if level > 0:
            return _graph(f"stay.{level}", [], outputs, nodes, self._weights[level])
        for value, name in zip(outputs, _OUTPUTS, strict=True):
            value.name = name
        return _graph("single", [*self._ids, self._thresholds], outputs, nodes, self._weights[level])

    def _last_resort(self, level: int, reached: ir.Value) -> list[ir.Node]:
        """Return what takes the criterion's label if the last exit's score reaches the threshold, or its fallback."""
        label, nodes = self._labels[-1], list[ir.Node]()
        if label.shape is not None and len(label.shape) > 1:
            axis = self._number(level, [1], "axis")
            nodes.append(_node("Unsqueeze", [reached, axis], "last.reached"))
            reached = nodes[0].outputs[0]
        return [*nodes, _node("Where", [reached, label, self._last], "last.label")]

    def _number(self, level: int, number: int | list[int], name: str) -> ir.Value:
        """Return a constant of a level."""
        value = constant(f"exit.{level + 1}.{name}", np.array(number))
        self._weights[level].append(value)
        return value


def _taken_out(nodes: list[ir.Node], label: ir.Value) -> list[ir.Node]:
    """Take the node that makes a label out of those of its level, if only who leaves there needs it."""
    maker = label.producer()
    if maker is None or maker not in nodes or len(maker.outputs) > 1 or not is_used_once(label):
        return []
    nodes.remove(maker)
    return [maker]


def _node(op: str, inputs: Sequence[ir.Value], name: str, outputs: int = 1, **attributes: ir.Graph) -> ir.Node:
    node = ir.node(op, inputs, attributes=attributes, num_outputs=outputs, name=name)
    for place, output in enumerate(node.outputs):
        output.name = name if outputs == 1 else f"{name}.{place}"
    return node


def _graph(
    name: str, inputs: list[ir.Value], outputs: list[ir.Value], nodes: list[ir.Node], weights: list[ir.Value]
) -> ir.Graph:
    opsets = {"": OPSET, MICROSOFT: 1}
    return ir.Graph(inputs, outputs, nodes=nodes, initializers=weights, name=name, opset_imports=opsets)


def _input(name: str | None, kind: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(kind), shape=ir.Shape(shape))


def _taken_apart(graph: ir.Graph, prefix: str) -> tuple[list[ir.Node], list[ir.Value]]:
    """Return the nodes and the weights of a graph, which has neither afterwards, with names that no other part has."""
    nodes, weights = list(graph), list(graph.initializers.values())
    graph.outputs.clear()
    graph.remove(nodes)
    graph.initializers.clear()
    for node in nodes:
        node.name = f"{prefix}/{node.name}"
        for value in node.outputs:
            value.name = f"{prefix}/{value.name}" if value.name else value.name
    for value in weights:
        value.name = f"{prefix}/{value.name}"
    return nodes, weights
