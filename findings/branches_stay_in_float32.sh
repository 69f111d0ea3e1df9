#!/usr/bin/env bash
# Guess: quantize_dynamic of onnxruntime turns all products with constant weights of a graph into int8, also those in the
#   branches of an If, which is how a graph with early exits skips its deeper layers.
# Really: it leaves subgraphs as they are, with their weights in float32, and logs nothing of it: of an encoder whose
#   deeper layers are in a branch only the first ones get smaller and faster. The option EnableSubgraph, off by default,
#   quantises them too.
# Version: onnxruntime 1.32.0, onnx 1.23.2
# Seen: of 3 products, 2 in a branch: 1 in int8 by default, 3 with EnableSubgraph
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" - <<'PY'
import logging

import numpy as np
import onnx
from onnxruntime.quantization import quantize_dynamic

logging.disable(logging.WARNING)  # advice on how to prepare a graph
RUN = """
<ir_version: 8, opset_import: ["": 17]>
g (float[N, 8] x, bool[1] sure) => (float[N, 8] y)
{
    h = MatMul(x, first)
    y = If(sure) <
        then_branch = early () => (float[N, 8] left) { left = Identity(h) },
        else_branch = deep () => (float[N, 8] right) { s = MatMul(h, second) right = MatMul(s, third) }
    >
}
"""
model = onnx.parser.parse_model(RUN)
drawn = np.random.default_rng(0)
for name in ("first", "second", "third"):
    weights = drawn.normal(size=(8, 8)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, name))
onnx.checker.check_model(model)
onnx.save(model, "graph.onnx")


def count(graph, kind):
    inside = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return sum(node.op_type == kind for node in graph.node) + sum(count(each, kind) for each in inside)


def in_int8(**options):
    quantize_dynamic("graph.onnx", "int8.onnx", extra_options=options)
    return count(onnx.load("int8.onnx").graph, "MatMulInteger")


print(f"of {count(model.graph, 'MatMul')} products, 2 in a branch: {in_int8()} in int8 by default,", end=" ")
print(f"{in_int8(EnableSubgraph=True)} with EnableSubgraph")
PY
)
echo "$seen"
[[ $seen == "of 3 products, 2 in a branch: 1 in int8 by default, 3 with EnableSubgraph" ]]
