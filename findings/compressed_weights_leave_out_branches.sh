#!/usr/bin/env bash
# Guess: nncf.compress_weights of an OpenVINO model reaches the layers in the branches of an If, as nncf.quantize of the
#   same package does ("main model and all If bodies will be quantized recursively"), and its table counts all weights.
# Really: it compresses the main graph alone, and its table says that 100 % of all parameters are compressed. A model whose
#   deeper layers are in a branch that an early exit skips keeps nearly all of its weights in float32.
# Version: nncf 3.4.0, openvino 2026.4.1, onnx 1.23.2
# Seen: of three weights of 262,144 bytes, two of them in a branch, 786,452 bytes become 590,612, and the table says
#   "100% (1 / 1)"; nncf.quantize makes 199,732 of them
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install nncf==3.4.0 openvino==2026.4.1 onnx==1.23.2 \
  numpy==2.4.6
cd "$folder"
seen=$(COLUMNS=120 "$folder/venv/bin/python" -W ignore - 2>&1 <<'PY'
import nncf
import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
hidden = 256


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", hidden])


weights = [rng.normal(size=(hidden, hidden)).astype(np.float32) / 16 for _ in range(3)]
constants = [numpy_helper.from_array(weight, f"weight_{place}") for place, weight in enumerate(weights)]
constants.append(numpy_helper.from_array(np.float32(3), "threshold"))
leave = helper.make_graph([helper.make_node("Identity", ["early"], ["left"])], "leave", [], [value("left")])
deeper = [
    helper.make_node("MatMul", ["early", "weight_1"], ["middle"]),
    helper.make_node("MatMul", ["middle", "weight_2"], ["late"]),
]
nodes = [
    helper.make_node("MatMul", ["rows", "weight_0"], ["early"]),
    helper.make_node("ReduceMax", ["early"], ["score"], keepdims=0),
    helper.make_node("Greater", ["score", "threshold"], ["sure"]),
    helper.make_node(
        "If", ["sure"], ["answer"], then_branch=leave, else_branch=helper.make_graph(deeper, "deeper", [], [value("late")])
    ),
]
graph = helper.make_graph(nodes, "exits", [value("rows")], [value("answer")], constants)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "exits.onnx")


def size(name, model):
    openvino.save_model(model, f"{name}.xml", compress_to_fp16=False)
    with open(f"{name}.bin", "rb") as weights:
        print(f"{name}: {len(weights.read())} bytes")


def read():
    return openvino.Core().read_model("exits.onnx")


size("float32", read())
size("compressed", nncf.compress_weights(read()))
size("quantised", nncf.quantize(read(), nncf.Dataset([rng.normal(size=(4, hidden)).astype(np.float32) for _ in range(8)])))
PY
) || { echo "$seen"; exit 1; }
echo "$seen"
# The size of the quantised model varies by a few bytes with the names of its nodes.
grep -qx "float32: 786452 bytes" <<< "$seen"
grep -qx "compressed: 590612 bytes" <<< "$seen"
grep -q "int8_asym, per-channel .* 100% (1 / 1) .* 100% (1 / 1)" <<< "$seen"
grep -qE "^quantised: 19[0-9]{4} bytes" <<< "$seen"
