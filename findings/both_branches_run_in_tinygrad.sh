#!/usr/bin/env bash
# Guess: a runtime of ONNX computes one branch of an If, which is how a graph with early exits skips its deeper layers.
# Really: tinygrad computes both branches and selects one of the two results afterwards. The outputs are right and the
#   count of layers in the graph says that a row left early, but every row costs all layers: early exit saves nothing.
# Version: tinygrad 0.14.0, onnx 1.23.2
# Seen: a row that leaves at the first layer and one that leaves at the second take the same number of operations
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install tinygrad==0.14.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
# The Python device interprets each operation, so no compiler is needed.
seen=$(DEV=PYTHON "$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PY'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tinygrad import GlobalCounters, Tensor
from tinygrad.nn.onnx import OnnxRunner

WIDTH = 32


def output(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def number(name, value):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))


def branch(name, nodes):
    outputs = [output(f"{name}_row", TensorProto.FLOAT, [1, WIDTH]), output(f"{name}_layers", TensorProto.INT64, [])]
    return helper.make_graph(nodes, name, [], outputs)


early = branch("early", [helper.make_node("Identity", ["x"], ["early_row"]), number("early_layers", 1)])
deep = branch("deep", [helper.make_node("MatMul", ["x", "weight"], ["deep_row"]), number("deep_layers", 2)])
graph = helper.make_graph(
    [
        helper.make_node("ReduceMax", ["x"], ["confidence"], keepdims=0),
        number("threshold", np.float32(0.9)),
        helper.make_node("GreaterOrEqual", ["confidence", "threshold"], ["is_sure"]),
        helper.make_node("If", ["is_sure"], ["row", "layers"], then_branch=early, else_branch=deep),
    ],
    "exits",
    [output("x", TensorProto.FLOAT, [1, WIDTH])],
    [output("row", TensorProto.FLOAT, [1, WIDTH]), output("layers", TensorProto.INT64, [])],
    [numpy_helper.from_array(np.ones((WIDTH, WIDTH), dtype=np.float32), "weight")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "exits.onnx")
run = OnnxRunner("exits.onnx")
operations = []
for value in (1.0, 0.1):
    GlobalCounters.reset()
    outputs = run({"x": Tensor(np.full((1, WIDTH), value, dtype=np.float32))})
    row, layers = outputs["row"].numpy(), outputs["layers"].item()
    operations.append(GlobalCounters.global_ops)
    print(f"{layers} of 2 layers, first number {row[0, 0]:.1f}, more operations than a product: {operations[-1] > WIDTH**2}")
print(f"the same number of operations: {operations[0] == operations[1]}")
PY
) || { cat "$folder/log"; exit 1; }
echo "$seen"
[[ $seen == "1 of 2 layers, first number 1.0, more operations than a product: True
2 of 2 layers, first number 3.2, more operations than a product: True
the same number of operations: True" ]]
