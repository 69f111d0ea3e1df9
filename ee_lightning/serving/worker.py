"""The process that runs the model: LitServe's loop, in which rows of all requests go down together."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing.sharedctypes import SynchronizedArray
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from litserve import LitAPI
from litserve.loops.base import LitLoop
from litserve.specs.base import LitSpec
from litserve.utils import LitAPIStatus, LoopResponseType

from ee_lightning.errors import first_line
from ee_lightning.inference.batches import Predictions, Sample
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.inference.texts import TextPrediction, Texts, in_words
from ee_lightning.serving.flow import Flow

_FEW = 4
"""Up to so many rows that wait are predicted one after another, where the engine has a way for single ones: measured on
int8 sentences of 25 tokens, a wave of 4 takes as long a row, and one of 2 a fifth more."""
_REMEMBERED = 2**16
"""Of how many of the latest requests it is known which process took them."""
_LOOKS = 1.0
"""Seconds after which an idle process looks whether the server is still there."""


class Answer(NamedTuple):
    """The answer to a request: a prediction for each row, and whether it was cut."""

    predictions: list[TextPrediction]
    cut: list[bool]


class Shared:
    """What the server's processes share.

    Args:
        num_exits: Number of exits.
    """

    def __init__(self, num_exits: int) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._thresholds: SynchronizedArray[float] = spawning.Array("d", num_exits)
        self._is_changed: Any = spawning.Value("b", 0)
        self._takers: Any = spawning.RawArray("i", _REMEMBERED)

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """The threshold of each exit; None for the model's own."""
        with self._thresholds.get_lock():
            return tuple(self._thresholds[:]) if self._is_changed.value else None

    @thresholds.setter
    def thresholds(self, thresholds: Sequence[float] | None) -> None:
        with self._thresholds.get_lock():
            self._is_changed.value = thresholds is not None
            self._thresholds[:] = thresholds or [0.0] * len(self._thresholds)

    def taker(self, number: int) -> int:
        """Return the process that has taken the request of a number; 0 where none has said so."""
        return int(self._takers[number % _REMEMBERED])

    def set_taker(self, number: int, process: int) -> None:
        """Set the process that has taken the request of a number; 0 for none."""
        self._takers[number % _REMEMBERED] = process


class Request:
    """A request whose rows are on their way.

    Args:
        place: Where the answer goes, as LitServe numbers it.
        uid: LitServe's name of it.
        rows: Its texts, at least one.
    """

    def __init__(self, place: int, uid: str, rows: Sequence[Texts]) -> None:
        self.place, self.uid, self.rows = place, uid, rows
        self.cut = [False] * len(rows)
        self._found: list[TextPrediction | None] = [None] * len(rows)
        self._missing = len(rows)

    def found(self, row: int, prediction: TextPrediction) -> Answer | None:
        """Take a row's prediction, and return the answer where it was the last."""
        self._found[row] = prediction
        self._missing -= 1
        return None if self._missing else Answer([each for each in self._found if each is not None], self.cut)


Place = tuple[Request, int]
"""A request and the number of a row of it."""


class WaveLoop(LitLoop):  # type: ignore[misc]  # LitServe ships no type information
    """Takes the rows of all requests through the model, layer by layer, and answers each when its last row left.

    Requests that came since are started before the next layer where `Flow.takes` them. What a model can't predict
    fails the request that it belongs to alone: its neighbours are predicted again without it.

    Args:
        seconds: How old a request may be when it is started.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def run(
        self,
        lit_api: LitAPI,
        device: str,
        worker_id: int,
        request_queue: Any,
        transport: Any,
        workers_setup_status: Any,
        callback_runner: Any,
    ) -> None:
        """Serve until the process ends."""
        assert isinstance(lit_api, EarlyExitAPI)
        came, answers = SimpleQueue[Any](), SimpleQueue[Any]()
        Thread(target=_receive, args=(request_queue, came, lit_api.shared), daemon=True).start()
        Thread(target=self._send, args=(transport, answers), daemon=True).start()
        desk = Desk(lit_api.predictor, lit_api.shared, self._seconds, answers.put)
        while True:
            desk.take(came)
            desk.advance()

    def _send(self, transport: Any, answers: "SimpleQueue[Any]") -> None:
        while True:
            request, answer = answers.get()
            status = LitAPIStatus.ERROR if isinstance(answer, str) else LitAPIStatus.OK
            with suppress(OSError, EOFError):  # the server is gone
                self.put_response(transport, request.place, request.uid, answer, status, LoopResponseType.REGULAR)


def _receive(request_queue: Any, came: "SimpleQueue[Any]", shared: Shared) -> None:
    """Hand requests on as they come, say that this process has them, and end it with the server."""
    parent = os.getppid()
    while True:
        try:
            number, *request = request_queue.get(timeout=_LOOKS)
            shared.set_taker(number, os.getpid())
            came.put(request)
        except Empty:
            if os.getppid() != parent:
                os._exit(1)
        except (OSError, EOFError):
            os._exit(1)


class Desk:
    """Puts the rows of requests on their way, and requests together again.

    Args:
        predictor: Predicts.
        shared: What the server's processes share.
        seconds: How old a request may be when it is started.
        answer: Takes a request and its answer, or what is wrong as a text.
    """

    def __init__(
        self,
        predictor: TextPredictor,
        shared: Shared,
        seconds: float,
        answer: Callable[[tuple[Request, Answer | str]], object],
    ) -> None:
        self._predictor, self._shared, self._seconds, self._answer = predictor, shared, seconds, answer
        self._engine, self._own = predictor.engine, predictor.engine.thresholds
        self._flow = Flow[Place](self._engine, predictor.layers_of_exits)
        self._waiting = deque[tuple[Sample, Place]]()

    def take(self, came: "SimpleQueue[Any]") -> None:
        """Take all requests that came, and wait for one where there is nothing else to do."""
        is_idle = self._flow.is_empty and not self._waiting
        while is_idle or not came.empty():
            place, uid, since, rows = came.get()
            is_idle = False
            if time.monotonic() - since > self._seconds:
                continue  # nobody waits for it any more
            request = Request(place, uid, rows)
            try:
                for number, row in enumerate(rows):
                    sample, request.cut[number] = self._predictor.encode(row)
                    self._waiting.append((sample, (request, number)))
            except Exception as error:
                self._answer((request, first_line(error)))

    def advance(self) -> None:
        """Start who may start, and take the rows on their way through a layer."""
        some = [*islice(self._waiting, self._fitting())]
        try:
            if some and self._flow.takes([sample for sample, _ in some]):
                for _ in some:
                    self._waiting.popleft()
                self._take_threshold()
                self._give(self._flow.start([sample for sample, _ in some], [place for _, place in some]))
            if not self._flow.is_empty:
                self._give(self._flow.step())
        except Exception:  # whatever the libraries below raise
            self._one_by_one({request for request, _ in self._flow.clear()})

    def _fitting(self) -> int:
        """Return how many of those that wait go into a batch, at least one."""
        if self._engine.has_single and len(self._waiting) <= _FEW and self._flow.is_empty:
            return min(1, len(self._waiting))
        tokens = 0
        for number, (sample, _) in enumerate(self._waiting):
            tokens += len(sample.input_ids)
            if number and tokens > self._engine.packing.max_tokens:
                return number
        return len(self._waiting)

    def _take_threshold(self) -> None:
        asked = self._shared.thresholds
        if (asked or self._own) != self._engine.thresholds:
            self._engine.change_threshold(asked or self._own)

    def _give(self, left: Iterator[tuple[list[Place], Predictions]]) -> None:
        deployment = self._predictor.deployment
        for places, predictions in left:
            worded = in_words(predictions, deployment.label_names, deployment.target.kind)
            for (request, row), prediction in zip(places, worded, strict=True):
                if (answer := request.found(row, prediction)) is not None:
                    self._answer((request, answer))

    def _one_by_one(self, requests: Collection[Request]) -> None:
        """Predict requests again, each alone, of which one or more can't be predicted."""
        self._waiting = deque(each for each in self._waiting if each[1][0] not in requests)
        for request in requests:
            try:
                self._answer((request, Answer([*self._predictor.stream(request.rows)], request.cut)))
            except Exception as error:
                self._answer((request, first_line(error)))


class EarlyExitAPI(LitAPI):  # type: ignore[misc]
    """A model, as LitServe's processes hold it.

    Args:
        load: Makes the predictor, in the process that runs it.
        shared: What the server's processes share.
        spec: What is asked over HTTP.
        seconds: How old a request may be when it is started.
    """

    predictor: TextPredictor

    def __init__(self, load: Callable[[], TextPredictor], shared: Shared, spec: LitSpec, seconds: float) -> None:
        super().__init__(spec=spec, loop=WaveLoop(seconds))
        self._load, self.shared = load, shared

    def setup(self, device: str) -> None:
        """Load the model; the server alone says when the process ends."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.predictor = self._load()
