"""What every request passes before anything of it is read."""

import hmac
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ee_lightning.serving.limits import Limits
from ee_lightning.serving.metrics import CLIENT_GONE, Metrics

KEY = "x-api-key"
OPEN = "/health"
COUNTED = "/predict"
CHANGING = ("PUT", "/threshold")


@dataclass(frozen=True)
class Keys:
    """The keys that clients send in the header ``X-API-Key``.

    Attributes:
        api: For everything but ``/health``; None lets everybody in.
        admin: For changing the threshold, and for all that the other is for; None lets nobody change it.
    """

    api: str | None = None
    admin: str | None = None

    def refusal(self, method: str, path: str, given: str) -> tuple[int, str] | None:
        """Return the status and the words by which a request is refused; None where it may pass."""
        is_admin = _same(self.admin, given)
        if (method, path) == CHANGING:
            if self.admin is None:
                return 403, "this server was started without an admin key, so that nobody may change the threshold"
            return None if is_admin else (401, "changing the threshold takes the admin key in the header X-API-Key")
        if self.api is None or path == OPEN or is_admin or _same(self.api, given):
            return None
        return 401, "the header X-API-Key is missing, or is not the server's key"


class Gate:
    """Lets requests pass that have the key and a body that is not too large, and counts those that predict.

    Args:
        app: What is behind it.
        keys: The keys.
        limits: The most that is taken.
        metrics: Counts.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys, limits: Limits, metrics: Metrics) -> None:
        self._app, self._keys, self._limits, self._metrics = app, keys, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, headers, path, status = time.perf_counter(), Headers(scope=scope), scope["path"], 500

        async def counting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            with suppress(RuntimeError):  # uvloop's, where the client is gone
                await send(message)

        try:
            refusal = self._keys.refusal(scope["method"], path, headers.get(KEY, ""))
            if refusal is None and _size(headers) > self._limits.body:
                refusal = 413, self._too_large
            if refusal is None:
                await self._app(scope, self._counted(receive), counting)
            else:
                close = {"connection": "close"}  # with the body unread
                await JSONResponse({"detail": refusal[1]}, refusal[0], close)(scope, receive, counting)
        except ClientDisconnect:  # before the whole request had arrived
            status = CLIENT_GONE
        finally:
            if path == COUNTED:
                self._metrics.answered(status, time.perf_counter() - started)

    @property
    def _too_large(self) -> str:
        return f"the request is larger than {self._limits.body} bytes"

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limits.body:
                raise HTTPException(413, self._too_large)
            return message

        return counted


def _same(key: str | None, given: str) -> bool:
    return key is not None and hmac.compare_digest(key.encode(), given.encode())


def _size(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0
