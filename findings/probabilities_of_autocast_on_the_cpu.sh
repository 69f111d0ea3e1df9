#!/usr/bin/env bash
# Guess: under autocast softmax gives float32, as PyTorch documents for CUDA, so that probabilities keep their precision.
# Really: on the CPU softmax is not among the operations that autocast moves to float32. The probabilities are bfloat16:
#   the three next to 1 are 0.9922, 0.9961 and 1. Rows of quite different confidence share one value, and a threshold of
#   0.999 keeps only those that were rounded to 1. The loss (cross_entropy) is float32.
# Version: torch 2.13.0
# Seen: softmax torch.bfloat16, cross_entropy torch.float32; distinct probabilities of 1000 margins from 5 to 10: 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 numpy==2.4.6
seen=$("$folder/venv/bin/python" - <<'PY'
import torch
from torch.nn.functional import cross_entropy, linear, softmax

torch.set_num_threads(1)
margins = torch.linspace(5, 10, 1000)
with torch.autocast("cpu", dtype=torch.bfloat16):
    logits = linear(margins[:, None], torch.tensor([[0.0], [1.0]]))  # [rows, classes]
    probabilities = softmax(logits, dim=-1)
    loss = cross_entropy(logits, torch.ones(1000, dtype=torch.long))
distinct = len(probabilities[:, 1].unique())
print(f"softmax {probabilities.dtype}, cross_entropy {loss.dtype}; distinct probabilities of 1000 margins from 5 to 10: {distinct}")
PY
)
echo "$seen"
[[ $seen == "softmax torch.bfloat16, cross_entropy torch.float32; distinct probabilities of 1000 margins from 5 to 10: 3" ]]
