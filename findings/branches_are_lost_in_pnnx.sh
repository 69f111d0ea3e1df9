#!/usr/bin/env bash
# Guess: pnnx, ncnn's converter of PyTorch models, converts a scripted model that leaves at an early exit by an if, or says
#   that it can't.
# Really: it ends with success and writes all its files, but the layers in the branches are not in them: of the if one
#   layer "prim::If" is left, without its branches and their weights. The Python module that it writes is no Python, and
#   ncnn only finds out on the device, when it loads the model.
# Version: pnnx 20261020, ncnn 1.0.20261020, torch 2.13.0
# Seen: exit status 0; of 144 numbers in two layers 72 are in the weights; a syntax error at "aten::Bool"; load_param
#   returns -1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pnnx==20261020 ncnn==1.0.20261020 torch==2.13.0 \
  numpy==2.4.6
cd "$folder"
cat > model.py <<'PY'
import torch


class Exits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, rows):
        early = self.first(rows)
        if bool(early.amax() > 1.5):
            return early
        return self.second(early)


torch.jit.script(Exits().eval()).save("exits.pt")
PY
"$folder/venv/bin/python" -W ignore model.py
status=0
"$(find "$folder/venv" -path '*/pnnx/pnnx' -type f)" exits.pt 'inputshape=[2,8]' fp16=0 > log 2>&1 || status=$?
seen=$(STATUS=$status "$folder/venv/bin/python" -W ignore - 2>>log <<'PY'
import os
import zipfile
from pathlib import Path

import ncnn

print("exit status:", os.environ["STATUS"])
with zipfile.ZipFile("exits.pnnx.bin") as weights:
    print("numbers in the weights:", sum(file.file_size for file in weights.infolist()) // 4)
try:
    compile(Path("exits_pnnx.py").read_text(), "exits_pnnx.py", "exec")
    print("Python: compiles")
except SyntaxError as error:
    print("Python: syntax error at", error.text.split("=")[1].strip())
print("ncnn: load_param returns", ncnn.Net().load_param("exits.ncnn.param"))
PY
) || { cat log; exit 1; }
echo "$seen"
[[ $seen == "exit status: 0
numbers in the weights: 72
Python: syntax error at aten::Bool(v_3)
ncnn: load_param returns -1" ]]
