#!/usr/bin/env bash
# Guess: a row's result does not depend on the other rows of its batch, in int8 as in float32.
# Really: the dynamic quantisation of ONNX Runtime and of PyTorch takes one scale for the activations of the whole
#   batch. A row beside one with large numbers is rounded more coarsely, down to zeros, and gets another label.
#   Scores measured with one batch size don't hold for another, and an early exit may be another one, too.
# Version: onnxruntime 1.32.0, onnx 1.23.2, torch 2.13.0
# Seen: onnxruntime: float32 alone 1, in a batch 1; int8 alone 1, in a batch 0 | torch: float32 alone 1, in a batch 1; int8 alone 1, in a batch 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnxruntime==1.32.0 onnx==1.23.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/label.py" <<'PY'
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper, save
from onnxruntime.quantization import quantize_dynamic

warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
weight = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]], np.float32)  # [features, labels]
row = np.array([[0.2, 0.3, 0.0, 0.0]], np.float32)  # whose label is 1
large = np.array([[0.0, 0.0, 900.0, 0.0]], np.float32)
both = np.concatenate([row, large])

ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", size]) for name, size in (("x", 4), ("y", 2))]
node = helper.make_node("MatMul", ["x", "weight"], ["y"])
graph = helper.make_graph([node], "graph", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "float32.onnx")
quantize_dynamic(folder / "float32.onnx", folder / "int8.onnx")


def by_onnxruntime(name):
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {"x": rows})[0]


layer = torch.nn.Sequential(torch.nn.Linear(4, 2, bias=False))
layer[0].weight.data = torch.from_numpy(weight.T.copy())
coarse = torch.ao.quantization.quantize_dynamic(layer, {torch.nn.Linear})


def told(float32, int8):
    seen = [
        f"{name} alone {run(row)[0].argmax()}, in a batch {run(both)[0].argmax()}"
        for name, run in (("float32", float32), ("int8", int8))
    ]
    return "; ".join(seen)


with torch.inference_mode():
    of_torch = told(*(lambda rows, run=run: run(torch.from_numpy(rows)).numpy() for run in (layer, coarse)))
print(f"onnxruntime: {told(by_onnxruntime('float32'), by_onnxruntime('int8'))} | torch: {of_torch}")
PY
seen=$("$folder/venv/bin/python" "$folder/label.py" "$folder" 2>/dev/null)
echo "$seen"
figures="float32 alone 1, in a batch 1; int8 alone 1, in a batch 0"
[[ $seen == "onnxruntime: $figures | torch: $figures" ]]
