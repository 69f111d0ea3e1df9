#!/usr/bin/env bash
# Guess: what onnxruntime loads, onnx loads and checks too; how many names a file has on the disk plays no role.
# Really: onnx refuses a model whose external data have a second hard link, and calls it an attack. Tools that save space by
#   hard links (a package manager's cache, cp -l, rsync --link-dest, a store that shares equal files) give a valid
#   model such links. onnxruntime takes the same files.
# Version: onnx 1.23.2, onnxruntime 1.32.0
# Seen: one name: onnx loads, onnxruntime loads | two names: onnx refuses, onnxruntime loads
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def loads(load):
    try:
        load("model.onnx")
    except onnx.checker.ValidationError:
        return "refuses"
    return "loads"


weights = numpy_helper.from_array(np.ones((64, 64), np.float32), "weights")
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "graph", ends[:1], ends[1:], [weights])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save_model(model, "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
told = []
for names in ("one name", "two names"):
    if names == "two names":
        os.link("weights.bin", "the-same.bin")
    told.append(f"{names}: onnx {loads(onnx.load)}, onnxruntime {loads(onnxruntime.InferenceSession)}")
print(" | ".join(told))
PYTHON
)
echo "$seen"
[[ $seen == "one name: onnx loads, onnxruntime loads | two names: onnx refuses, onnxruntime loads" ]]
