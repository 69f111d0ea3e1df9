#!/usr/bin/env bash
# Guess: import lightning leaves the warnings of other code as they are.
# Really: it replaces warnings.formatwarning for the whole process, and a warning of any file whose absolute path has
#   "lightning" in it, such as that of a project in a folder lightning-models, is printed as one of Lightning's: without
#   its category and its line of code. Who filters a log for UserWarning or DeprecationWarning misses it.
# Version: lightning 2.6.6, torch 2.13.0
# Seen: models: UserWarning, 2 lines | lightning-models: no category, 1 line
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 lightning==2.6.6
mkdir "$folder/models" "$folder/lightning-models"
printf 'import warnings\n\nimport lightning\n\nwarnings.warn("the learning rate is high")\n' | tee "$folder/models/job.py" > "$folder/lightning-models/job.py"
said() {
    local lines category
    lines=$("$folder/venv/bin/python" "$folder/$1/job.py" 2>&1 >/dev/null | grep -A1 "job.py:5: ")
    category=$(grep -o "UserWarning" <<< "$lines" || echo "no category")
    echo "$1: $category, $(grep -c . <<< "$lines") line$([[ $lines == *$'\n'* ]] && echo s)"
}
seen="$(said models) | $(said lightning-models)"
echo "$seen"
[[ $seen == "models: UserWarning, 2 lines | lightning-models: no category, 1 line" ]]
