#!/usr/bin/env bash
# Guess: LitServer(timeout=1), a "request timeout in seconds" by its documentation, answers every request within about a
#   second, if only by a 504, as the timeouts of other servers do.
# Really: the worker itself compares the ages of the requests that wait, and only when it is free. What is being predicted
#   is never timed out, and what waits behind it gets its 504 when the prediction is over: with one that takes 4 seconds,
#   or for ever, so do all answers. A client that must know in time needs a timeout of its own.
# Version: litserve 0.2.19
# Seen: timeout of 1 second, prediction of 4: the first 200 after 4 seconds or more, the second 504 after 3 or more
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install litserve==0.2.19
cat > "$folder/server.py" <<'PY'
import sys
import time

import litserve


class Slow(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, request):
        time.sleep(4)
        return request


if __name__ == "__main__":
    server = litserve.LitServer(Slow(), accelerator="cpu", timeout=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
PY
cat > "$folder/clients.py" <<'PY'
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import Request, urlopen

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
address = f"http://127.0.0.1:{port}"


def is_ready():
    try:
        return urlopen(f"{address}/health").status == 200
    except OSError:
        return False


def ask():
    began = time.monotonic()
    try:
        status = urlopen(Request(f"{address}/predict", b"{}", {"Content-Type": "application/json"})).status
    except HTTPError as error:
        status = error.code
    return status, time.monotonic() - began


with subprocess.Popen([sys.executable, sys.argv[1], str(port)], stdout=sys.stderr, start_new_session=True) as server:
    try:
        while not is_ready():
            assert server.poll() is None
            time.sleep(0.2)
        with ThreadPoolExecutor(2) as clients:
            first = clients.submit(ask)
            time.sleep(0.5)
            second = clients.submit(ask)
            (status, seconds), (status_behind, seconds_behind) = first.result(), second.result()
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with the processes that it started
print("timeout of 1 second, prediction of 4:", end=" ")
print(f"the first {status} after {'4 seconds or more' if seconds >= 4 else 'less'},", end=" ")
print(f"the second {status_behind} after {'3 or more' if seconds_behind >= 3 else 'less'}")
PY
cd "$folder"
seen=$(timeout 120 "$folder/venv/bin/python" clients.py server.py 2> "$folder/log") || cat "$folder/log"
echo "$seen"
[[ $seen == "timeout of 1 second, prediction of 4: the first 200 after 4 seconds or more, the second 504 after 3 or more" ]]
