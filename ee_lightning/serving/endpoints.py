"""What is asked over HTTP, in the process that answers clients."""

import asyncio
import math
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from litserve.specs.base import LitSpec
from litserve.utils import LitAPIStatus, ResponseBufferItem
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse
from typing_extensions import override

from ee_lightning.exits.placement import Layers
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.texts import Texts
from ee_lightning.serving.limits import BadRequest, Limits, rows_of_body, threshold_of_body
from ee_lightning.serving.metrics import Metrics
from ee_lightning.serving.worker import Answer, Shared

_LOOKS = 0.5
"""Seconds after which it is looked again whether a process of the server has died."""


@dataclass
class _Pending:
    """A request without an answer so far.

    Attributes:
        rows: Its texts.
        item: Where LitServe puts the answer.
        number: By which processes say that they have taken it; another each time that it is sent.
        is_stray: Whether at the last look it was neither in the queue nor taken by a process.
        has_lost_process: Whether a process has died that had taken it.
    """

    rows: list[Texts]
    item: ResponseBufferItem
    number: int = 0
    is_stray: bool = False
    has_lost_process: bool = False


class Endpoints(LitSpec):  # type: ignore[misc]
    """``POST /predict``, ``GET`` and ``PUT /threshold``, and ``GET /metrics``.

    A request is checked whole before it is handed to a process that runs the model. If that process dies, those that it
    had taken, and nobody else's, are handed to another, once.

    Args:
        deployment: What is predicted.
        layers_of_exits: The layer after which each exit stands.
        shared: What the server's processes share.
        limits: The most that is taken.
        metrics: Counts.
    """

    def __init__(
        self, deployment: Deployment, layers_of_exits: Layers, shared: Shared, limits: Limits, metrics: Metrics
    ) -> None:
        super().__init__()
        self.api_path: str = "/predict"
        self._deployment, self._num_exits = deployment, len(layers_of_exits)
        self._shared, self._limits, self._metrics = shared, limits, metrics
        self._pending = dict[str, _Pending]()
        self._num_waiting = self._num_sent = 0
        self.add_endpoint(self.api_path, self.predict, ["POST"])
        self.add_endpoint("/threshold", self.threshold, ["GET"])
        self.add_endpoint("/threshold", self.change_threshold, ["PUT"])
        self.add_endpoint("/metrics", self.metrics, ["GET"])

    def __getstate__(self) -> dict[str, Any]:
        return {"api_path": self.api_path}  # all that the process of the model needs

    async def predict(self, request: Request) -> Response:
        """Answer with the predictions for a text, or for several."""
        try:
            rows, is_one = rows_of_body(await request.body(), self._deployment, self._limits)
            answer = await self._ask(rows)
        except BadRequest as error:
            return _refused(error)
        self._metrics.left([each.exit_layer for each in answer.predictions], answer.cut)
        said = [
            {
                "label": each.label,
                "probability": each.probability,
                "score": each.score if math.isfinite(each.score) else None,
                "exit_layer": each.exit_layer,
                "cut": is_cut,
            }
            for each, is_cut in zip(answer.predictions, answer.cut, strict=True)
        ]
        return JSONResponse(said[0] if is_one else {"predictions": said})

    async def threshold(self) -> Response:
        """Say by which criterion and threshold rows leave."""
        changed, rule = self._shared.thresholds, self._deployment.rule
        own = rule.threshold if isinstance(rule.threshold, tuple) else (rule.threshold,) * self._num_exits
        shown = [each if math.isfinite(each) else str(each) for each in changed or own]
        return JSONResponse({"criterion": rule.build().name, "threshold": shown, "is_own": changed is None})

    async def change_threshold(self, request: Request) -> Response:
        """Set another threshold, for all rows that start from now on."""
        try:
            self._shared.thresholds = threshold_of_body(await request.body(), self._num_exits)
        except BadRequest as error:
            return _refused(error)
        self._metrics.threshold_changed(is_own=self._shared.thresholds is None)
        return await self.threshold()

    async def metrics(self) -> Response:
        """Give all figures as Prometheus reads them."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def watch(self) -> None:
        """Hand requests of a dead process to another, and stop when the process that started this one is gone."""
        parent = os.getppid()
        while True:
            await asyncio.sleep(_LOOKS)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
            with suppress(OSError, EOFError):  # the server is stopping
                self._send_lost_again()

    def _send_lost_again(self) -> None:
        """Hand on the requests that a process had when it died, and those that were on their way to it."""
        is_queue_empty = self.request_queue.empty()
        for uid, pending in self._pending.items():
            process = self._shared.taker(pending.number)
            if not process:
                is_lost = is_queue_empty and pending.is_stray
                pending.is_stray = is_queue_empty and not is_lost
            else:
                is_lost = not _is_alive(process) and not pending.item.event.is_set()
                if is_lost and pending.has_lost_process:
                    pending.item.response = "the process of the model died of it", LitAPIStatus.ERROR
                    pending.item.event.set()
                    continue
                pending.has_lost_process |= is_lost
            if is_lost:
                self._send(uid, pending)

    async def _ask(self, rows: list[Texts]) -> Answer:
        """Hand rows to the process of the model, and wait for the answer."""
        if self._num_waiting + len(rows) > self._limits.waiting:
            what = f"{self._num_waiting} texts wait already, and {self._limits.waiting} may: try again later"
            raise BadRequest(what, 503)
        uid, item = str(uuid4()), ResponseBufferItem(asyncio.Event())
        self.response_buffer[uid], self._pending[uid] = item, (pending := _Pending(rows, item))
        self._wait(len(rows))
        try:
            self._send(uid, pending)
            await asyncio.wait_for(item.event.wait(), self._limits.seconds)
        except TimeoutError as error:
            raise BadRequest(f"there was no answer within {self._limits.seconds:g} seconds", 504) from error
        except (OSError, EOFError) as error:
            raise BadRequest("the server is stopping", 503) from error
        finally:
            self._wait(-len(rows))
            del self.response_buffer[uid], self._pending[uid]
        found, status = item.response
        if status != LitAPIStatus.OK:
            raise BadRequest(f"the model can't predict it: {found}", 500)
        return found  # type: ignore[no-any-return]

    def _send(self, uid: str, pending: _Pending) -> None:
        self._num_sent += 1
        pending.number = self._num_sent
        self._shared.set_taker(pending.number, 0)
        self.request_queue.put((pending.number, self.response_queue_id, uid, time.monotonic(), pending.rows))

    def _wait(self, more: int) -> None:
        self._num_waiting += more
        self._metrics.waiting.set(self._num_waiting)

    @override
    def decode_request(self, request: Any, context_kwargs: Any = None) -> Any:
        return request

    @override
    def encode_response(self, output: Any, context_kwargs: Any = None) -> Any:
        return output


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _refused(error: BadRequest) -> Response:
    return JSONResponse({"detail": str(error)}, error.status, {"retry-after": "1"} if error.status == 503 else None)
