#!/usr/bin/env bash
# Guess: what Lightning's loggers get for step 0 is stored for step 0 by DVCLive's logger too.
# Really: it takes 0 for no step at all, and stores such values one step after the last. A curve that is logged point by
#   point after training, such as accuracy over thresholds, begins with its second point, and its first one stands after
#   the training's last step. A training that logs its first step shows it as step 1.
# Version: dvclive 3.49.1, lightning 2.6.6, torch 2.13.0
# Seen: a loss at steps 0 and 99 is stored at 1 and 99; a curve at steps 0, 1 and 2 at 100, 1 and 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install dvclive==3.49.1 lightning==2.6.6 torch==2.13.0
cd "$folder"
seen=$(DVC_NO_ANALYTICS=1 "$folder/venv/bin/python" -W ignore - 2>log <<'PY'
import csv

from dvclive.lightning import DVCLiveLogger

logger = DVCLiveLogger(dir="logged", save_dvc_exp=False)
for step in (0, 99):
    logger.log_metrics({"train/loss": 1 / (1 + step)}, step=step)
for step, accuracy in enumerate((0.9, 0.8, 0.7)):
    logger.log_metrics({"curve/accuracy": accuracy}, step=step)
logger.finalize("success")
for name in ("train/loss", "curve/accuracy"):
    with open(f"logged/plots/metrics/{name}.tsv", newline="") as file:
        print(f"{name}: steps", *(row["step"] for row in csv.DictReader(file, delimiter="\t")))
PY
) || { cat log; exit 1; }
echo "$seen"
[[ $seen == "train/loss: steps 1 99
curve/accuracy: steps 100 1 2" ]]
