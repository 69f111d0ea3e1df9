"""A model behind HTTP, by LitServe."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing import connection
from threading import Thread
from typing import Any, Literal

from litserve import LitServer

from ee_lightning.errors import OptionError
from ee_lightning.exits.placement import Layers
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.serving.endpoints import Endpoints
from ee_lightning.serving.gate import Gate, Keys
from ee_lightning.serving.limits import Limits
from ee_lightning.serving.metrics import Metrics
from ee_lightning.serving.worker import EarlyExitAPI, Shared

Host = Literal["127.0.0.1", "0.0.0.0", "::"]


def serve(
    load: Callable[[], TextPredictor],
    deployment: Deployment,
    layers_of_exits: Layers,
    *,
    host: Host = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    limits: Limits | None = None,
    keys: Keys | None = None,
) -> None:
    """Serve a model until the process is interrupted or asked to end; requests that came until then are answered.

    LitServe starts three processes beside this one: for clients, for the queues between, and for the model.

    Args:
        load: Makes the predictor, in each process that runs the model; it has to be picklable.
        deployment: What it predicts.
        layers_of_exits: The layer after which each of its exits stands.
        host: Where to listen: this machine alone, or every address.
        port: The port, from 1024.
        workers: Number of processes that run the model.
        limits: The most that is taken.
        keys: The keys that clients send.

    Raises:
        OptionError: The model could not be loaded, or the process for clients died.
    """
    limits, shared, point = limits or Limits(), Shared(len(layers_of_exits)), deployment.rule.operating_point
    metrics = Metrics(layers_of_exits, None if point is None else point.left_at)
    endpoints = Endpoints(deployment, layers_of_exits, shared, limits, metrics)
    server = _Server(
        EarlyExitAPI(load, shared, endpoints, limits.seconds),
        accelerator="cpu",  # the predictor knows its own device
        workers_per_device=workers,
        timeout=limits.seconds,
        middlewares=[(Gate, {"keys": keys or Keys(), "limits": limits, "metrics": metrics})],
        restart_workers=True,
        disable_openapi_url=True,  # its page would load scripts from elsewhere
    )
    _announce(server, endpoints, host, port)
    _end_gracefully()
    try:
        server.run(
            host,
            port,
            num_api_servers=1,  # it holds all figures
            log_level="warning",
            generate_client_file=False,
            access_log=False,
        )
    except RuntimeError as error:
        hint = "see the message above; the same model loads in 'ee-lightning predict' if it is whole"
        raise OptionError("the process of the model could not start", where="serve", hint=hint) from error
    if server.has_lost_clients:
        what, hint = "the process for clients died, so that the server ended", "start it again"
        raise OptionError(what, where="serve", hint=hint)


class _Server(LitServer):  # type: ignore[misc]  # which has no types
    """Ends where the process for clients does, which they would wait for; LitServe looks after that of the model alone.

    Attributes:
        has_lost_clients: Whether that is why it ended.
    """

    has_lost_clients = False

    def _start_server(self, *args: Any, **options: Any) -> dict[int, Any]:
        processes: dict[int, Any] = super()._start_server(*args, **options)
        sentinels = [process.sentinel for process in processes.values()]

        def watch() -> None:
            connection.wait(sentinels)
            with suppress(OSError, EOFError):  # where the server ends anyway
                self._shutdown_event.set()

        Thread(target=watch, daemon=True).start()
        return processes

    def _perform_graceful_shutdown(self, manager: Any, processes: dict[int, Any], reason: str = "normal") -> None:
        self.has_lost_clients = reason == "normal"
        super()._perform_graceful_shutdown(manager, processes, reason)


def check_free(host: str, port: int) -> None:
    """Raise an OptionError where a port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            hint = "stop what listens there, or take another with --port"
            raise OptionError(f"port {port} can't be used: {error.strerror}", where=host, hint=hint) from error


def _announce(server: LitServer, endpoints: Endpoints, host: str, port: int) -> None:
    """Say when the server listens, and watch over its processes while it does."""
    router = server.app.router
    inner = router.lifespan_context

    async def tell() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("localhost" if host == "::" else host, port)
                break
            except OSError:
                await asyncio.sleep(0.05)
        writer.close()
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        print(f"serving at {address}: POST /predict, GET /health, GET /metrics", flush=True)

    @asynccontextmanager
    async def announced(app: Any) -> AsyncIterator[None]:
        async with inner(app):
            tasks = [asyncio.create_task(each) for each in (tell(), endpoints.watch())]
            yield
            for task in tasks:
                task.cancel()

    router.lifespan_context = announced


def _end_gracefully() -> None:
    """Have this process, and none that it forks, end by SIGTERM as by an interrupt."""
    own = os.getpid()

    def interrupt(*_: Any) -> None:
        if os.getpid() == own:
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
