"""Which requests are handed on when a process of the model dies, with real processes."""

import asyncio
import json
import os
import subprocess
from queue import Queue
from typing import Any

import pytest

pytest.importorskip("litserve", reason="the extra serve is not installed")

from fastapi import Request, Response
from litserve.utils import LitAPIStatus

from ee_lightning.inference import EarlyExitPredictor, TextPrediction
from ee_lightning.serving import endpoints as endpoints_module
from ee_lightning.serving.endpoints import Endpoints
from ee_lightning.serving.limits import Limits
from ee_lightning.serving.metrics import Metrics
from ee_lightning.serving.worker import Answer, Shared


def request_of(text: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps({"text": text}).encode()}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


class Line:
    """The queue between clients and two processes, at which this test stands."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.buffer: dict[str, Any] = {}
        self.queue: Queue[Any] = Queue()
        endpoints.request_queue, endpoints.response_buffer, endpoints.response_queue_id = self.queue, self.buffer, 0

    async def next(self) -> tuple[str, int, str]:
        """Return the text of the next request, its number and its name."""
        number, _, uid, _, rows = await asyncio.to_thread(self.queue.get, timeout=20)
        return rows[0][0], number, uid

    def answer(self, uid: str) -> None:
        self.buffer[uid].response = Answer([TextPrediction("good", 0.9, 1.0, 1)], [False]), LitAPIStatus.OK
        self.buffer[uid].event.set()


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def test_a_process_loses_its_own_requests_alone(
    small_predictor: EarlyExitPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints_module, "_LOOKS", 0.02)
    metrics = Metrics((1, 2, 3), None)
    shared = Shared(3)
    endpoints = Endpoints(small_predictor.deployment, (1, 2, 3), shared, Limits(), metrics)
    line, (one, other) = Line(endpoints), (subprocess.Popen(["sleep", "100"]) for _ in range(2))

    async def scene() -> list[Response]:
        watching = asyncio.create_task(endpoints.watch())
        asking = [asyncio.create_task(endpoints.predict(request_of(text))) for text in ("bad", "good", "late", "lost")]
        for process in (one, other):
            shared.set_taker((await line.next())[1], process.pid)
        end(one)
        late, lost, bad = await line.next(), await line.next(), await line.next()
        assert (late[0], lost[0], bad[0]) == ("late", "lost", "bad")
        shared.set_taker(bad[1], other.pid)
        for text in ("late", "lost"):  # which no process said that it had
            again = await line.next()
            assert again[0] == text
            shared.set_taker(again[1], os.getpid())
            line.answer(again[2])
        end(other)
        good = await line.next()
        assert good[0] == "good"
        line.answer(good[2])
        answers = await asyncio.gather(*asking)
        watching.cancel()
        return answers

    try:
        answers = asyncio.run(scene())
    finally:
        end(one)
        end(other)
    assert [each.status_code for each in answers] == [500, 200, 200, 200]
    assert b"died of it" in answers[0].body
    assert line.queue.empty()
