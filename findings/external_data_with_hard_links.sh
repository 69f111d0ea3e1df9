#!/usr/bin/env bash
# Guess: what onnxruntime loads, onnx loads and checks too; how many names a file has on the disk plays no role.
# Really: onnx refuses a model whose external data have a second hard link, and calls it an attack. Tools that save space by
#   hard links (a package manager's cache, cp -l, rsync --link-dest, a store that shares equal files) give a valid
#   model such links. onnxruntime takes the same files, but not where they are used within the branch of an If: for
#   branches alone it asks onnx's checker.
# Version: onnx 1.23.2, onnxruntime 1.32.0
# Seen: one name: onnx loads, onnxruntime loads, in branches loads | two names: onnx refuses, onnxruntime loads, in branches refuses
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


def loads(load, file):
    try:
        load(file)
    except Exception as error:  # of a class of each library
        return "refuses" if "hard links" in str(error) else repr(error)
    return "loads"


def value(name, shape=(1, 64), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def product(output):
    weights = numpy_helper.from_array(np.ones((64, 64), np.float32), f"weights of {output}")
    node = helper.make_node("MatMul", ["x", weights.name], [output])
    return helper.make_graph([node], output, [], [value(output)], [weights])


def save(graph, name):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save_model(model, f"{name}.onnx", save_as_external_data=True, location=f"{name}.bin", size_threshold=0)


plain = product("y")
plain.input.append(value("x"))
save(plain, "plain")
either = helper.make_node("If", ["which"], ["y"], then_branch=product("one"), else_branch=product("other"))
save(helper.make_graph([either], "graph", [value("which", [], TensorProto.BOOL), value("x")], [value("y")]), "branches")
told = []
for names in ("one name", "two names"):
    if names == "two names":
        for file in ("plain", "branches"):
            os.link(f"{file}.bin", f"{file}-again.bin")
    session = onnxruntime.InferenceSession
    said = f"onnxruntime {loads(session, 'plain.onnx')}, in branches {loads(session, 'branches.onnx')}"
    told.append(f"{names}: onnx {loads(onnx.load, 'plain.onnx')}, {said}")
print(" | ".join(told))
PYTHON
)
echo "$seen"
[[ $seen == "one name: onnx loads, onnxruntime loads, in branches loads | two names: onnx refuses, onnxruntime loads, in branches refuses" ]]
