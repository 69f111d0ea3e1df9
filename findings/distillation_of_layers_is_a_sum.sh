#!/usr/bin/env bash
# Guess: AdaptiveLayerLoss of sentence-transformers weighs its terms alike whether a step samples one layer or takes all of
#   them (n_layers_per_step=-1): its docstring says that losses of layers are averaged. And its layers are those of the
#   encoder.
# Really: only the wrapped loss is averaged. The distillation from the last layer is a sum over the layers: taking all
#   layers of a 12-layer encoder makes it twelve times as strong, against the same loss of the last layer. And the first of
#   its "layers" is the output of the embeddings: one step in twelve teaches a model without any layer.
# Version: sentence-transformers 6.2.0, transformers 5.23.0, torch 2.13.0
# Seen: of 4 layers and a wrapped loss of 1 everywhere: 1 more from the wrapped loss with one layer and with all;
#   distillation of all layers is 4.0 times the mean of one. The layers are 0 (the embeddings), 1, 2 and 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install sentence-transformers==6.2.0 transformers==5.23.0 \
  torch==2.13.0 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" -W ignore - 2>log <<'PY'
import random
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import AdaptiveLayerLoss
from transformers import BertConfig, BertModel, BertTokenizer

torch.manual_seed(0)
Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcd"]) + "\n")
BertTokenizer("vocab.txt").save_pretrained("encoder")
sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "vocab_size": 9}
BertModel(BertConfig(num_hidden_layers=4, **sizes)).save_pretrained("encoder")
model = SentenceTransformer("encoder", device="cpu").eval()


class One(torch.nn.Module):
    def forward(self, features, labels):
        for feature in features:
            model(feature)
        return torch.tensor(1.0)


def loss(layers, temperature):
    feature = model.tokenize(["a b c d", "d a"])
    function = AdaptiveLayerLoss(model, One(), n_layers_per_step=layers, kl_temperature=temperature)
    with torch.no_grad():
        return float(function([feature], None))


print(f"wrapped loss alone: one layer {loss(1, 0.0) - 1:.1f}, all layers {loss(-1, 0.0) - 1:.1f}")
sample = random.sample
each = []
for layer in range(4):
    random.sample = lambda layers, number: [layers[layer]]
    each.append(loss(1, 0.3) - 2)
random.sample = sample
together = loss(-1, 0.3) - 2
print(f"distillation: all layers have {together / (sum(each) / 4):.1f} times the mean of one layer")
random.sample = lambda layers, number: print("layers to sample from:", *layers) or [layers[0]]
loss(1, 0.3)
PY
) || { cat log; exit 1; }
echo "$seen"
[[ $seen == "wrapped loss alone: one layer 1.0, all layers 1.0
distillation: all layers have 4.0 times the mean of one layer
layers to sample from: 0 1 2 3" ]]
