"""A hub on this machine that takes uploads of models, as far as its client asks."""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

ADDRESS = "127.0.0.1"


class Hub:
    """Listens on a free port of this machine while it is entered.

    Attributes:
        files: What was committed, by path.
        created: The repositories that were made, as the client asked for them.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((ADDRESS, 0), self._handler())
        self.address = f"http://{ADDRESS}:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        """Return what the hub says to a request."""
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            asked = self.created[-1]
            return {"url": f"{self.address}/{asked.get('organization', 'me')}/{asked['name']}"}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            return {"files": [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in files]}
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            name = "/".join(path.split("/")[3:5])
            return {"commitUrl": f"{self.address}/{name}/commit/1", "commitOid": "1", "hookOutput": "", "success": True}
        return {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                said = json.dumps(hub.answer(self.path.partition("?")[0], body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        return Handler
