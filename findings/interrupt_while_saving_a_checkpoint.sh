#!/usr/bin/env bash
# Guess: Ctrl-C while torch.save writes into a file object, as Lightning's checkpoints are written, is KeyboardInterrupt.
# Really: the zip writer is closed while the interrupt passes through it, and its check of the position raises a
#   RuntimeError in the interrupt's place. `except KeyboardInterrupt` misses it; the interrupt is only its context.
# Version: torch 2.13.0
# Seen: RuntimeError, unexpected pos: True, in the course of KeyboardInterrupt
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy 2>/dev/null
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import io

import torch


class InterruptedFile(io.BytesIO):
    """A file whose third piece meets the user's Ctrl-C."""

    pieces = 0

    def write(self, piece):
        self.pieces += 1
        if self.pieces == 3:
            raise KeyboardInterrupt
        return super().write(piece)


try:
    torch.save({"weight": torch.zeros(1000)}, InterruptedFile())
except BaseException as error:
    pos, context = "unexpected pos" in str(error), type(error.__context__).__name__
    print(f"{type(error).__name__}, unexpected pos: {pos}, in the course of {context}")
PYTHON
)
echo "$seen"
[[ $seen == "RuntimeError, unexpected pos: True, in the course of KeyboardInterrupt" ]]
