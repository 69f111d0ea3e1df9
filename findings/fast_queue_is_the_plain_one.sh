#!/usr/bin/env bash
# Guess: LitServer(fast_queue=True) sends requests between its processes by ZeroMQ, as its documentation says, so a
#   comparison of servers with this option measures ZeroMQ.
# Really: the option sets a field that the configuration of the transport does not have. pydantic ignores it, and the
#   server takes the queues of multiprocessing, with the option or without. Nothing is logged.
# Version: litserve 0.2.19
# Seen: fast_queue=False MPQueueTransport | fast_queue=True MPQueueTransport | asked for by its name ZMQTransport
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install litserve==0.2.19
cat > "$folder/server.py" <<'PY'
import logging
import multiprocessing

import litserve
from litserve.transport.factory import TransportConfig, create_transport_from_config

logging.disable(logging.INFO)


class Echo(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, request):
        return request


def made_from(config):
    config.manager = multiprocessing.Manager()
    transport = create_transport_from_config(config)
    return type(transport).__name__


if __name__ == "__main__":
    for fast in (False, True):
        server = litserve.LitServer(Echo(), accelerator="cpu", fast_queue=fast)
        print(f"fast_queue={fast}", made_from(server.transport_config), end=" | ", flush=True)
    print("asked for by its name", made_from(TransportConfig(transport_type="zmq")), flush=True)
    for child in multiprocessing.active_children():
        child.terminate()
PY
seen=$(cd "$folder" && timeout 100 venv/bin/python server.py)
echo "$seen"
[[ $seen == "fast_queue=False MPQueueTransport | fast_queue=True MPQueueTransport | asked for by its name ZMQTransport" ]]
