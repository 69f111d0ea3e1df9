#!/usr/bin/env bash
# Guess: TVM's importer of ONNX makes of an If, which skips the deeper layers of a graph with early exits, an if of its own
#   with the same layers in it.
# Really: it makes the if, but puts only the last node of each branch in it. All others stand in the main function before
#   it, and run for every row: the labels are right, and an early exit saves one node.
# Version: apache-tvm 0.27.0.post1, onnx 1.23.2
# Seen: of the four products in the branch three stand before the if. Rows that leave early call 4 products on the virtual
#   machine, where the graph has 1 for them; rows that go on call 5, as in the graph
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install apache-tvm==0.27.0.post1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" -W ignore - 2>log <<'PY'
import numpy as np
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 8])


products = [helper.make_node("MatMul", [f"rows_{layer}", "weight"], [f"rows_{layer + 1}"]) for layer in range(5)]
leave = helper.make_graph([helper.make_node("Identity", ["rows_1"], ["left"])], "leave", [], [value("left")])
nodes = [
    products[0],
    helper.make_node("ReduceMax", ["rows_1"], ["score"], keepdims=0),
    helper.make_node("Greater", ["score", "threshold"], ["sure"]),
    helper.make_node(
        "If",
        ["sure"],
        ["answer"],
        then_branch=leave,
        else_branch=helper.make_graph(products[1:], "deeper", [], [value("rows_5")]),
    ),
]
constants = [numpy_helper.from_array(np.eye(8, dtype=np.float32), "weight")]
constants.append(numpy_helper.from_array(np.float32(3), "threshold"))
graph = helper.make_graph(nodes, "exits", [value("rows_0")], [value("answer")], constants)
module = from_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
before, _, inside = str(module).partition("if ")
print(f"products before the if: {before.count('R.matmul')}, in it: {inside.count('R.matmul')}")

machine = relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
calls = []


def note(function, name, is_before, value, *arguments):
    if is_before and "matmul" in name:
        calls.append(name)
    return relax.VMInstrumentReturnKind.NO_OP


machine.set_instrument(note)
for told, size in (("leave", 10), ("go on", 1)):
    calls.clear()
    machine["main"](tvm.runtime.tensor(np.full((4, 8), size, np.float32)))
    print(f"rows that {told}: {len(calls)} products")
PY
) || { cat log; exit 1; }
echo "$seen"
[[ $seen == "products before the if: 4, in it: 1
rows that leave: 4 products
rows that go on: 5 products" ]]
