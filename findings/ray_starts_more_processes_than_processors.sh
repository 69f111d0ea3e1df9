#!/usr/bin/env bash
# Guess: ray.init(num_cpus=3) runs at most three processes that compute, so two actors that map a small Parquet file
#   start two or three.
# Really: num_cpus limits what runs at a time, not the processes. Actors that only wait need no processor once they are
#   there, and Ray Data has several of its own: for statistics, for the scheduling, for the footers of Parquet files. Each
#   process imports ray and pyarrow, seconds of CPU time and over 100 MB, so a file of 300 rows can take half a minute on
#   two cores.
# Version: ray 2.60.0, pyarrow 26.0.1
# Seen: 300 rows, more than 3 processes of Ray that compute for 3 processors (6 at the end)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'ray[data]==2.60.0' pyarrow==26.0.1
cd "$folder"
seen=$(RAY_BACKEND_LOG_LEVEL=fatal "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

AGENTS = ("Agent", "Dashboard", "Monitor")


def working():
    """The numbers of Ray's processes but those of the node itself."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if name.startswith("ray::") and not any(agent in name for agent in AGENTS):
            found.add(process.name)
    return found


class Length:
    def __call__(self, table):
        return table


Path("data").mkdir()
pq.write_table(pa.table({"text": ["a film"] * 300}), "data/a.parquet")
ray.init(num_cpus=3, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
mapped = ray.data.read_parquet("data").map_batches(
    Length, batch_format="pyarrow", compute=ray.data.ActorPoolStrategy(size=2), num_cpus=1
)
rows, processes = 0, set()
for block in mapped.iter_batches(batch_format="pyarrow"):
    rows += block.num_rows
    processes |= working()
print(f"{rows} rows, {'more than 3' if len(processes) > 3 else len(processes)} processes of Ray that compute for 3 processors")
PYTHON
)
echo "$seen"
[[ $(tail -n 1 <<<"$seen") == "300 rows, more than 3 processes of Ray that compute for 3 processors" ]]
