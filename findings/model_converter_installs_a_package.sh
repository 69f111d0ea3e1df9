#!/usr/bin/env bash
# Guess: mnnconvert reads a model and writes a model, so a build machine that holds its packages still may run it.
# Really: on import the command runs `pip install -U` for the client of a logging service, with whichever pip comes first
#   on the PATH: that can be another environment than its own, and -U takes the newest release and changes what it
#   depends on. With this client it reports each conversion (a machine id, the options, the sizes) where it has a network.
#   The model is the same without it. No option turns this off.
# Version: MNN 3.6.1
# Seen: a pip that only writes down its arguments gets "install -U aliyun-log-python-sdk"; the model is written all the same
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install MNN==3.6.1 onnx==1.23.2 numpy==2.4.6
mkdir "$folder/first"
cat >"$folder/first/pip" <<PIP
#!/bin/sh
echo "pip \$*" >>"$folder/pip.txt"
PIP
chmod +x "$folder/first/pip"
cd "$folder"
venv/bin/python - <<'PY'
import onnx
from onnx import TensorProto, helper

rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", rows[:1], rows[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "relu.onnx")
PY
# A proxy that is not there: nothing is reported from here.
https_proxy=http://127.0.0.1:9 PATH="$folder/first:$PATH" venv/bin/mnnconvert -f ONNX --modelFile relu.onnx \
  --MNNModel relu.mnn --bizCode finding >log 2>&1 || { cat log; exit 1; }
seen=$(sort -u pip.txt; test -s relu.mnn && echo "relu.mnn is written")
echo "$seen"
[[ $seen == "pip install -U aliyun-log-python-sdk
relu.mnn is written" ]]
