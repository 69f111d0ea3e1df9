#!/usr/bin/env bash
# Guess: onnx.save with external data writes the file of the weights again from the start, as the graph's.
# Really: it appends to the file that is there. Each export to the same place makes it longer by all weights; the graph
#   points at the last ones, so results stay right and only the size tells. Nothing is logged.
# Version: onnx 1.23.2
# Seen: bytes of the weights after each save: 1000000, 2000000, 3000000; offset in the last graph: 2000000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnx==1.23.2 numpy==2.4.6
cat > "$folder/save.py" <<'PY'
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder, sizes = Path(sys.argv[1]), []
for _ in range(3):
    weight = numpy_helper.from_array(np.ones((500, 500), np.float32), "weight")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 500]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "graph", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph), folder / "model.onnx", save_as_external_data=True, location="model.data")
    sizes.append((folder / "model.data").stat().st_size)
(stored,) = onnx.load(folder / "model.onnx", load_external_data=False).graph.initializer
offset = next(entry.value for entry in stored.external_data if entry.key == "offset")
print(f"bytes of the weights after each save: {', '.join(map(str, sizes))}; offset in the last graph: {offset}")
PY
seen=$("$folder/venv/bin/python" "$folder/save.py" "$folder")
echo "$seen"
[[ $seen == "bytes of the weights after each save: 1000000, 2000000, 3000000; offset in the last graph: 2000000" ]]
