#!/usr/bin/env bash
# Guess: torchinfo's total of multiply-adds counts a linear layer once for each token of a text, as the layer runs.
# Really: for an input of three dimensions it counts the layer once for each text: 128 tokens are said to take as much as
#   one. A convolution is counted at every place, so a convolution of width 1, which is the same computation, has 128
#   times as much. Of an encoder the total is little more than its number of parameters.
# Version: torchinfo 1.8.0, torch 2.13.0
# Seen: 128 tokens, linear 4096 and convolution 524288; one token 4096 and 4096; the outputs are equal
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torchinfo==1.8.0 torch==2.13.0 numpy==2.4.6
seen=$("$folder/venv/bin/python" - <<'PY'
import torch
from torch import nn
from torchinfo import summary

torch.manual_seed(0)
linear, convolution = nn.Linear(64, 64, bias=False), nn.Conv1d(64, 64, kernel_size=1, bias=False)
convolution.load_state_dict({"weight": linear.weight.unsqueeze(-1)})


def multiply_adds(module, x):
    return summary(module, input_data=x, verbose=0).total_mult_adds


for tokens in (128, 1):
    texts = torch.randn(1, tokens, 64)
    turned = texts.transpose(1, 2)
    torch.testing.assert_close(linear(texts), convolution(turned).transpose(1, 2))
    print(f"{tokens}: linear {multiply_adds(linear, texts)}, convolution {multiply_adds(convolution, turned)}")
PY
)
echo "$seen"
[[ $seen == "128: linear 4096, convolution 524288
1: linear 4096, convolution 4096" ]]
