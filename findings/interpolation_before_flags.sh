#!/usr/bin/env bash
# Guess: with parser_mode="omegaconf", as Lightning's documentation has it, ${…} in a configuration file takes the value
#   that an option has in the end, as in Hydra: a flag, or an agent's value, changes what is made from it.
# Really: interpolation is done within each file, before flags count. A run whose name is made from ${task} keeps the
#   task of the file and goes into its folder, though a flag named another task; no message says so. It is the mode
#   "omegaconf+" that interpolates at the end.
# Version: jsonargparse 4.53.0, omegaconf 2.4.0
# Seen: --task=rte: omegaconf: run-sst2; omegaconf+: run-rte
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install jsonargparse==4.53.0 omegaconf==2.4.0 PyYAML==6.0.3
cd "$folder"
cat > options.yaml <<'YAML'
task: sst2
name: run-${task}
YAML
seen=$("$folder/venv/bin/python" - <<'PY'
from jsonargparse import ArgumentParser


def name(mode):
    parser = ArgumentParser(parser_mode=mode)
    parser.add_argument("--config", action="config")
    parser.add_argument("--task", type=str)
    parser.add_argument("--name", type=str)
    return parser.parse_args(["--config=options.yaml", "--task=rte"]).name


print(f"--task=rte: omegaconf: {name('omegaconf')}; omegaconf+: {name('omegaconf+')}")
PY
)
echo "$seen"
[[ $seen == "--task=rte: omegaconf: run-sst2; omegaconf+: run-rte" ]]
