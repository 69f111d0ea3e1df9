#!/usr/bin/env bash
# Guess: the standard error by the BootStrapper of torchmetrics does not depend on how the rows come in batches, as the
#   metric inside it does not.
# Really: with sampling_strategy="multinomial" it resamples within each batch. From the same 200 rows, one batch gives the
#   usual standard error; with one row a batch all resamples are the rows themselves, and the error is 0.
# Version: torchmetrics 1.9.0, torch 2.13.0
# Seen: standard error of an accuracy of 0.5 on 200 rows: 0.035 in one batch, 0.000 in batches of one row
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
seen=$("$folder/venv/bin/python" - <<'PY'
import torch
from torchmetrics import Accuracy
from torchmetrics.wrappers import BootStrapper

torch.set_num_threads(1)
given, true = torch.arange(200) % 2, torch.zeros(200, dtype=torch.long)
errors = []
for size in (200, 1):
    torch.manual_seed(0)
    metric = BootStrapper(Accuracy(task="binary"), num_bootstraps=40, sampling_strategy="multinomial")
    for batch in zip(given.split(size), true.split(size), strict=True):
        metric.update(*batch)
    errors.append(metric.compute()["std"].item())
print(f"standard error of an accuracy of 0.5 on 200 rows: {errors[0]:.3f} in one batch, {errors[1]:.3f} in batches of one row")
PY
)
echo "$seen"
[[ $seen == "standard error of an accuracy of 0.5 on 200 rows: 0.035 in one batch, 0.000 in batches of one row" ]]
