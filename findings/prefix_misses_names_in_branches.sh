#!/usr/bin/env bash
# Guess: add_prefix of onnx renames every name of a graph, and extract_model takes all weights that a part needs, also
#   where the branches of an If use weights of the graph around them, as branches of graphs with early exits do.
# Really: both look only at the nodes of the outer graph. After add_prefix the branches still use the old names, so the
#   model is invalid, and nothing says so until it is checked or loaded. extract_model leaves those weights out; its own
#   check then blames the order of the nodes.
# Version: onnx 1.23.2
# Seen: with a prefix the weight is p.deep, and the branch reads deep: invalid; extracted without deep: invalid
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnx==1.23.2 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" - <<'PY'
import numpy as np
import onnx
from onnx.compose import add_prefix
from onnx.utils import extract_model

model = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["": 17]>
g (float[N, 4] x, bool[1] sure) => (float[N, 4] y)
{
    y = If(sure) <
        then_branch = early () => (float[N, 4] left) { left = Identity(x) },
        else_branch = later () => (float[N, 4] right) { right = MatMul(x, deep) }
    >
}
""")
model.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "deep"))
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "whole.onnx")


def verdict(model):
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError:
        return "invalid"
    return "valid"


def weights(model):
    return [weight.name for weight in model.graph.initializer]


renamed = add_prefix(model, "p.")
(later,) = (each.g for each in renamed.graph.node[0].attribute if each.name == "else_branch")
print(f"weights {weights(renamed)}, the branch reads {later.node[0].input[1]}: {verdict(renamed)}")
extract_model("whole.onnx", "part.onnx", ["x", "sure"], ["y"], check_model=False)
part = onnx.load("part.onnx")
print(f"extracted, weights {weights(part)}: {verdict(part)}")
PY
)
echo "$seen"
[[ $seen == "weights ['p.deep'], the branch reads deep: invalid
extracted, weights []: invalid" ]]
