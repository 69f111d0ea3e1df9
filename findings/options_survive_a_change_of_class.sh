#!/usr/bin/env bash
# Guess: an option that names another class starts from the defaults of that class.
# Really: where both classes have an argument of the same name, the value that a configuration file gave the first class
#   is kept for the second, silently; only arguments that the second lacks are dropped.
# Version: jsonargparse 4.53.0
# Seen: TreeB {'weight': 'linear'}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'jsonargparse[signatures]==4.53.0'
cat >"$folder/trees.py" <<'PYTHON'
class Tree:
    pass


class TreeA(Tree):
    def __init__(self, weight: str = "equal", depth: int = 1) -> None:
        self.weight, self.depth = weight, depth


class TreeB(Tree):
    def __init__(self, weight: str = "equal") -> None:
        self.weight = weight
PYTHON
printf 'tree:\n  class_path: trees.TreeA\n  init_args: {weight: linear, depth: 3}\n' >"$folder/options.yaml"
seen=$(PYTHONPATH=$folder "$folder/venv/bin/python" - "$folder/options.yaml" 2>/dev/null <<'PYTHON'
import sys

from jsonargparse import ArgumentParser
from trees import Tree

parser = ArgumentParser(exit_on_error=False)
parser.add_argument("--config", action="config")
parser.add_subclass_arguments(Tree, "tree")
tree = parser.parse_args(["--config", sys.argv[1], "--tree", "trees.TreeB"]).tree
print(tree.class_path.rpartition(".")[2], vars(tree.init_args))
PYTHON
)
echo "$seen"
[[ $seen == "TreeB {'weight': 'linear'}" ]]
