#!/usr/bin/env bash
# Guess: batched, which gathers the requests of a server into batches, takes requests of equal priority in the order in
#   which they came, as a queue does.
# Really: it keeps them in a heap that compares priorities alone, and a heap keeps no order among equals. The second of
#   twelve waiting requests is served in the last batch, after requests that came ten places later. So under load some
#   requests wait far longer than in a queue, and the slowest latencies say little about the model.
# Version: batched 0.1.5
# Seen: of requests 0 to 11 in batches of four: 0 2 6 11, then 10 9 8 5, then 7 4 1 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install batched==0.1.5
cd "$folder"
seen=$("$folder/venv/bin/python" -W ignore - 2>log <<'PY'
import batched


@batched.dynamically(batch_size=4, timeout_ms=1000)
def predict(requests):
    print("batch:", *requests)
    return requests


answers = predict(list(range(12)))
print("answers:", *answers)
PY
) || { cat log; exit 1; }
echo "$seen"
[[ $seen == "batch: 0 2 6 11
batch: 10 9 8 5
batch: 7 4 1 3
answers: 0 1 2 3 4 5 6 7 8 9 10 11" ]]
