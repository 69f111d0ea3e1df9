#!/usr/bin/env bash
# Guess: for two classes, the calibration error of torchmetrics is the same by task="binary" and by task="multiclass"
#   with num_classes=2, as accuracy is.
# Really: by "binary" it compares the probability of class 1 with how often class 1 is true; by "multiclass" the
#   probability of the predicted class with how often the prediction is right. So the same predictions have two errors,
#   and a table that mixes tasks of two and of three classes compares different things.
# Version: torchmetrics 1.9.0, torch 2.13.0
# Seen: accuracy 0.750 and 0.750; calibration error 0.250 by binary and 0.150 by multiclass
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
seen=$("$folder/venv/bin/python" - <<'PY'
import torch
from torchmetrics import Accuracy, CalibrationError

of_one = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])  # probability of class 1
of_both, true = torch.stack([1 - of_one, of_one], 1), torch.tensor([1, 1, 1, 1, 1, 1, 0, 0])
for name, metric in (("accuracy", Accuracy), ("calibration error", CalibrationError)):
    binary = metric(task="binary")(of_one, true).item()
    multiclass = metric(task="multiclass", num_classes=2)(of_both, true).item()
    end = "; " if name == "accuracy" else " by multiclass\n"
    by = "" if name == "accuracy" else " by binary"
    print(f"{name} {binary:.3f}{by} and {multiclass:.3f}", end=end)
PY
)
echo "$seen"
[[ $seen == "accuracy 0.750 and 0.750; calibration error 0.250 by binary and 0.150 by multiclass" ]]
