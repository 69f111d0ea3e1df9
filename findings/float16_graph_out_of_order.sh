#!/usr/bin/env bash
# Guess: convert_float_to_float16 of onnxruntime.transformers returns a model that the rest of the ONNX tools can read.
# Really: with keep_io_types the casts of inputs stand at the end of the nodes, behind those that read them. ONNX wants
#   nodes in order: its checker refuses the model and its evaluator fails, while ONNX Runtime sorts the nodes and runs
#   it. The function of the same name in onnxconverter-common, which it comes from, puts the cast first.
# Version: onnxruntime 1.32.0, onnxconverter-common 1.16.0, onnx 1.23.2
# Seen: onnxruntime MatMul Cast Cast, refused; onnxconverter-common Cast MatMul Cast, valid; both run in ONNX Runtime
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnxruntime==1.32.0 onnxconverter-common==1.16.0 \
  onnx==1.23.2 numpy==2.4.6
seen=$("$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import onnx
import onnxconverter_common.float16
import onnxruntime
import onnxruntime.transformers.float16

x = np.ones((2, 4), dtype=np.float32)
modules = {"onnxruntime": onnxruntime.transformers.float16, "onnxconverter-common": onnxconverter_common.float16}
for name, module in modules.items():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[N, 4] x) => (float[N, 4] y) { y = MatMul(x, weight) }'
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "weight"))
    onnx.checker.check_model(model, full_check=True)
    half = module.convert_float_to_float16(model, keep_io_types=True)
    try:
        onnx.checker.check_model(half)
        verdict = "valid"
    except onnx.checker.ValidationError as error:
        verdict = "refused" if "topologically sorted" in str(error) else str(error)
    session = onnxruntime.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
    assert (session.run(None, {"x": x})[0] == x).all()
    print(f"{name}: {' '.join(node.op_type for node in half.graph.node)}, {verdict}")
PY
)
echo "$seen"
[[ $seen == "onnxruntime: MatMul Cast Cast, refused
onnxconverter-common: Cast MatMul Cast, valid" ]]
