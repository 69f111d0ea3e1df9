#!/usr/bin/env bash
# Guess: an option that is the target of link_arguments is refused wherever it is given, or else it counts.
# Really: as a flag it is refused; in a configuration file it is taken silently, and the linked value is used.
# Version: jsonargparse 4.53.0
# Seen: file 2 | flag refused
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jsonargparse==4.53.0
printf 'model:\n  classes: 5\n' >"$folder/options.yaml"
seen=$("$folder/venv/bin/python" - "$folder/options.yaml" <<'PYTHON'
import sys
from argparse import ArgumentError

from jsonargparse import ArgumentParser


def parser():
    made = ArgumentParser(exit_on_error=False)
    made.add_argument("--config", action="config")
    made.add_argument("--data.classes", type=int, default=2)
    made.add_argument("--model.classes", type=int, default=0)
    made.link_arguments("data.classes", "model.classes")
    return made


from_file = parser().parse_args(["--config", sys.argv[1]]).model.classes
try:
    parser().parse_args(["--model.classes", "5"])
    flag = "taken"
except ArgumentError:
    flag = "refused"
print(f"file {from_file} | flag {flag}")
PYTHON
)
echo "$seen"
[[ $seen == "file 2 | flag refused" ]]
