#!/usr/bin/env bash
# Guess: a SummaryWriter that gets another figure after close() goes on in an event file of its own, and what was written
#   before stays on the disk.
# Really: the new file is named by the second. Within the same second it has the old file's name and takes its place, so that
#   all earlier figures are gone, silently. Tests and short evaluations, such as those of Lightning's TensorBoardLogger,
#   which writes through tensorboardX where tensorboard is not installed, are that fast.
# Version: tensorboardX 2.6.5
# Seen: closed: 1 file with loss | used again in the same second: 1 file without loss | a second later: 2 files without loss
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install tensorboardX==2.6.5 numpy==2.3.5 protobuf==6.33.2 packaging==25.0
seen=$("$folder/venv/bin/python" - "$folder/logs" <<'PY'
import sys
import time
from pathlib import Path

from tensorboardX import SummaryWriter

folder = Path(sys.argv[1])


def told():
    files = sorted(folder.iterdir())
    has_loss = any(b"loss" in file.read_bytes() for file in files)
    return f"{len(files)} file{'s' * (len(files) > 1)} with{'' if has_loss else 'out'} loss"


while time.time() % 1 > 0.2:  # so that the second does not end on the way
    time.sleep(0.01)
writer = SummaryWriter(str(folder))
writer.add_scalar("loss", 1.0, 0)
writer.close()
said = [f"closed: {told()}"]
writer.add_scalar("accuracy", 0.5, 1)
writer.close()
said.append(f"used again in the same second: {told()}")
time.sleep(1)
writer.add_scalar("speed", 2.0, 2)
writer.close()
said.append(f"a second later: {told()}")
print(" | ".join(said))
PY
)
echo "$seen"
[[ $seen == "closed: 1 file with loss | used again in the same second: 1 file without loss | a second later: 2 files without loss" ]]
