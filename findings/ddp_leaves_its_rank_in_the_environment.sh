#!/usr/bin/env bash
# Guess: a training under DDP on one device leaves the process as it was, so that a later Trainer starts its processes.
# Really: LOCAL_RANK stays in os.environ (of the variables that are set, only WORLD_SIZE is dropped). A Trainer made
#   later, here or in any program started from here, takes itself for one process of several that somebody else starts:
#   it starts none, and a later training on two devices would wait for the second without end.
# Version: lightning 2.6.6, torch 2.13.0
# Seen: before: others started elsewhere False | after: others started elsewhere True, LOCAL_RANK 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lightning==2.6.6 torch==2.13.0 numpy
cd "$folder"
seen=$(env -u LOCAL_RANK "$folder/venv/bin/python" 2>"$folder/log" - <<'PYTHON'
import os

from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.plugins.environments import LightningEnvironment

before = LightningEnvironment().creates_processes_externally
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
Trainer(accelerator="cpu", devices=1, strategy="ddp", max_steps=1, limit_val_batches=0, **quiet).fit(BoringModel())
after = LightningEnvironment().creates_processes_externally
print(f"before: others started elsewhere {before} |", end=" ")
print(f"after: others started elsewhere {after}, LOCAL_RANK {os.environ.get('LOCAL_RANK')}")
PYTHON
) || { cat "$folder/log" >&2; exit 1; }
echo "$seen"
[[ $seen == *"before: others started elsewhere False | after: others started elsewhere True, LOCAL_RANK 0" ]]
