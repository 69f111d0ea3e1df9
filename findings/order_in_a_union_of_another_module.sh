#!/usr/bin/env bash
# Guess: jsonargparse tries the types of a Union in the order in which the option's own annotation has them.
# Really: inside List and other generic types the order is that of the equal Union that was written first in the process.
#   typing keeps List[Union[int, float]] and hands it out for List[Union[float, int]], which is equal to it. So an
#   import elsewhere decides whether 1 is parsed as 1 or as 1.0.
# Version: jsonargparse 4.53.0
# Seen: alone [1.0, 2.5] | after List[Union[int, float]] elsewhere [1, 2.5]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jsonargparse==4.53.0
cd "$folder"
cat > elsewhere.py <<'PYTHON'
from typing import List, Union

Numbers = List[Union[int, float]]
PYTHON
cat > program.py <<'PYTHON'
from typing import List, Union

from jsonargparse import ArgumentParser

parser = ArgumentParser()
parser.add_argument("--rates", type=List[Union[float, int]])
print(parser.parse_args(["--rates=[1, 2.5]"]).rates)
PYTHON
alone=$("$folder/venv/bin/python" program.py)
after=$("$folder/venv/bin/python" -c 'import elsewhere, program')
seen="alone $alone | after List[Union[int, float]] elsewhere $after"
echo "$seen"
[[ $seen == "alone [1.0, 2.5] | after List[Union[int, float]] elsewhere [1, 2.5]" ]]
