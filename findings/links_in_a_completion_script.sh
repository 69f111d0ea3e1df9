#!/usr/bin/env bash
# Guess: the completion script that jsonargparse makes through shtab offers the options that a parser takes, and nothing else.
# Really: a link between two options is written into it as if it were an option, with its arrow: bash offers
#   "data.size --> model.size", which no command line may hold, and zsh's script has it among the arguments of the program.
#   Lightning's command lines link options as a rule.
# Version: jsonargparse 4.53.0, shtab 1.13.0
# Seen: bash offers: -h --help --data --data.size --model 'data.size --> model.size' --model.depth | lines of zsh with the link: 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install jsonargparse==4.53.0 shtab==1.13.0
cat > "$folder/train.py" <<'PY'
from jsonargparse import ArgumentParser


class Data:
    def __init__(self, size: int = 3): ...


class Model:
    def __init__(self, size: int = 3, depth: int = 2): ...


parser = ArgumentParser(prog="train")
parser.add_class_arguments(Data, "data")
parser.add_class_arguments(Model, "model")
parser.link_arguments("data.size", "model.size")
parser.parse_args()
PY
script() { JSONARGPARSE_ADD_PRINT_COMPLETION_ARGUMENT=true "$folder/venv/bin/python" "$folder/train.py" --print_completion="shtab-$1"; }
offered=$(script bash | sed -n "s/^_shtab_train_option_strings=(\(.*\))$/\1/p")
seen="bash offers: $offered | lines of zsh with the link: $(script zsh | grep -c '"data.size --> model.size')"
echo "$seen"
[[ $seen == "bash offers: -h --help --data --data.size --model 'data.size --> model.size' --model.depth | lines of zsh with the link: 1" ]]
