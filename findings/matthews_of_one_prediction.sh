#!/usr/bin/env bash
# Guess: a model that gives every row the same label has a Matthews' correlation of 0, in torchmetrics as in scikit-learn.
# Really: for two classes torchmetrics puts a limit where the formula has 0 / 0: 0.84 for ten rows of which nine are of
#   the label that is always given, and 1 if all ten are. With a third class that never occurs, the same labels have 0.
#   So an exit that has learnt nothing can look like a very good one on few rows, such as those of one batch.
# Version: torchmetrics 1.9.0, torch 2.13.0, scikit-learn 1.7.2
# Seen: torchmetrics 0.84 by binary and 0.00 by three classes, scikit-learn 0.00; all ten rows right: 1.00 and 0.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6 scikit-learn==1.7.2
seen=$("$folder/venv/bin/python" - <<'PY'
import warnings

import torch
from sklearn.metrics import matthews_corrcoef
from torchmetrics import MatthewsCorrCoef

warnings.simplefilter("ignore")  # of scikit-learn, that there is one class alone
given, true = torch.ones(10, dtype=torch.long), torch.tensor([1] * 9 + [0])
binary, three = MatthewsCorrCoef(task="binary"), MatthewsCorrCoef(task="multiclass", num_classes=3)
print(f"torchmetrics {binary(given, true):.2f} by binary and {three(given, true):.2f} by three classes, ", end="")
print(f"scikit-learn {matthews_corrcoef(true, given):.2f}; ", end="")
print(f"all ten rows right: {binary(given, given):.2f} and {matthews_corrcoef(given, given):.2f}")
PY
)
echo "$seen"
[[ $seen == "torchmetrics 0.84 by binary and 0.00 by three classes, scikit-learn 0.00; all ten rows right: 1.00 and 0.00" ]]
