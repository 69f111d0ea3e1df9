#!/usr/bin/env bash
# Guess: counters of floating-point operations see the two matrix products of attention, whether a model writes them out
#   or calls scaled_dot_product_attention, as most encoders do by default.
# Really: on a CPU, PyTorch's own FlopCounterMode, fvcore and calflops count nothing for the fused call. thop counts
#   attention in neither form, since it looks at modules only. A whole nn.TransformerEncoderLayer that runs in eval mode
#   without gradients is one fused kernel too, and FlopCounterMode gives it 0. Only fvcore warns.
# Version: torch 2.13.0, fvcore 0.1.5.post20221221, calflops 0.3.2, thop 0.1.1.post2209072238
# Seen: written out and fused 4194304 and 2097152 by FlopCounterMode, fvcore and calflops, 2097152 twice by thop, of which
#   attention has 2097152; an encoder layer 3145728 with gradients and 0 without
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 numpy==2.4.6 \
  fvcore==0.1.5.post20221221 calflops==0.3.2 thop==0.1.1.post2209072238 transformers==5.23.0
cd "$folder"
seen=$("$folder/venv/bin/python" -W ignore - <<'PY'
import logging

import thop
import torch
from calflops import calculate_flops
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

logging.disable(logging.WARNING)
TOKENS, WIDTH, HEADS = 128, 64, 4


class Attention(nn.Module):
    def __init__(self, fused):
        super().__init__()
        self.fused, self.out = fused, nn.Linear(WIDTH, WIDTH, bias=False)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))

    def forward(self, x):
        projected = [each(x) for each in (self.query, self.key, self.value)]  # [1, tokens, width] each
        query, key, value = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in projected)
        if self.fused:
            seen = scaled_dot_product_attention(query, key, value)
        else:
            weights = torch.matmul(query, key.transpose(-2, -1)) / (WIDTH / HEADS) ** 0.5
            seen = torch.matmul(weights.softmax(-1), value)
        return self.out(seen.transpose(1, 2).flatten(2))


def of_torch(model, x):
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2


def of_fvcore(model, x):
    analysis = FlopCountAnalysis(model, x)
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def of_calflops(model, x):
    return calculate_flops(model, args=[x], print_results=False, output_as_string=False)[1]


def of_thop(model, x):
    return thop.profile(model, (x,), verbose=False)[0]


x = torch.randn(1, TOKENS, WIDTH)
counters = {"FlopCounterMode": of_torch, "fvcore": of_fvcore, "calflops": of_calflops, "thop": of_thop}
layer = nn.TransformerEncoderLayer(WIDTH, HEADS, WIDTH, batch_first=True).eval()
print(f"multiply-adds: {4 * TOKENS * WIDTH**2} in linear layers, {2 * TOKENS**2 * WIDTH} in attention")
with torch.no_grad():
    for name, count in counters.items():
        apart, fused = (int(count(Attention(fused).eval(), x)) for fused in (False, True))
        print(f"{name}: {apart} written out, {fused} fused")
    fast = of_torch(layer, x)
print(f"FlopCounterMode, an encoder layer: {of_torch(layer, x)} with gradients, {fast} without")
PY
)
echo "$seen"
expected="multiply-adds: 2097152 in linear layers, 2097152 in attention
FlopCounterMode: 4194304 written out, 2097152 fused
fvcore: 4194304 written out, 2097152 fused
calflops: 4194304 written out, 2097152 fused
thop: 2097152 written out, 2097152 fused
FlopCounterMode, an encoder layer: 3145728 with gradients, 0 without"
[[ $seen == "$expected" ]]
