#!/usr/bin/env bash
# Guess: array_api_compat.numpy is a thin layer over numpy, so importing it costs next to nothing where numpy is loaded.
# Really: it imports every submodule of numpy that numpy itself loads on demand, among them f2py and testing, and with
#   these some 190 modules, asyncio and unittest too. array_namespace(array) does so at its first call. A program that
#   starts often takes the functions from numpy itself.
# Version: array-api-compat 1.16.0, numpy 2.4.6
# Seen: many more modules, numpy.f2py numpy.testing (many are 150 or more)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check array-api-compat==1.16.0 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy
import array_api_compat

before = set(sys.modules)
array_api_compat.array_namespace(numpy.zeros(1))
new = set(sys.modules) - before
print("many" if len(new) >= 150 else len(new), "more modules,", *sorted(new & {"numpy.f2py", "numpy.testing"}))
PYTHON
)
echo "$seen"
[[ $seen == "many more modules, numpy.f2py numpy.testing" ]]
