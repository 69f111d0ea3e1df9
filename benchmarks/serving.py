"""Servers under load: with early exit, of full depth, and of transformers' pipeline.

Everything runs here, on loopback. Clients send at random moments (a Poisson process), whether or not earlier requests
are answered. The process that runs the model has one thread, and a core of its own where two are given.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import litserve

P95 = 0.2
HOST = "127.0.0.1"
SCRIPT = Path(__file__).resolve()


# Servers, each in processes of its own


class Server:
    """A server of one contestant.

    Args:
        command: Its command line, without the port.
        cores: The core of the model's process, and that of all others.
        nice: Of all its processes.
    """

    def __init__(self, command: list[str], cores: tuple[int, int], nice: int, port: int | None = None) -> None:
        self.port = port or free_port()
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        be_nice(self.process.pid, nice)
        self.wait_until_ready()
        for number in self.numbers():
            core = cores[0] if self.is_model(number) else cores[1]
            for thread in Path(f"/proc/{number}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})
                os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)

    def wait_until_ready(self) -> None:
        """Wait until it answers a prediction."""
        for _ in range(600):
            try:
                with socket.create_connection((HOST, self.port), 1) as client:
                    client.settimeout(60)
                    client.sendall(request({"text": "a film"}))
                    if b" 200 " in client.recv(1000):
                        return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit("a server ended early")
            time.sleep(0.2)
        raise SystemExit("a server did not start")

    def numbers(self) -> list[int]:
        """Return the numbers of its processes."""
        found = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
        return [each for each in found if session_of(each) == self.process.pid]

    @staticmethod
    def is_model(number: int) -> bool:
        """Whether a process runs the model: started anew by LitServe, and not the tracker of shared memory."""
        command = Path(f"/proc/{number}/cmdline").read_bytes()
        return b"spawn_main" in command

    def seconds(self) -> tuple[float, float]:
        """Return the CPU seconds so far of the model's process, and of the others."""
        of = {True: 0.0, False: 0.0}
        for number in self.numbers():
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            of[self.is_model(number)] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return of[True], of[False]

    def end(self) -> None:
        """End all its processes: LitServe leaves some behind where it is asked to end by a signal."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def be_nice(number: int, nice: int) -> None:
    """Give a process its share of the processor, and its session too, where Linux shares among sessions."""
    os.setpriority(os.PRIO_PROCESS, number, nice)
    if nice and (group := Path(f"/proc/{number}/autogroup")).exists():
        group.write_text(str(nice))


def session_of(number: int) -> int:
    try:
        return os.getsid(number)
    except ProcessLookupError:
        return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def flat(file: str, folder: str) -> Any:
    """Return a predictor of one flat graph of full depth, a row at a time, which was its fastest batch size."""
    import numpy as np
    from onnxruntime import InferenceSession, SessionOptions

    from ee_lightning.inference.batches import Packing, Predictions, pad_samples
    from ee_lightning.runtime import EarlyExitRuntime

    predictor = EarlyExitRuntime(folder, threads=1)
    alone = SessionOptions()
    alone.intra_op_num_threads, alone.log_severity_level = 1, 3
    session = InferenceSession(file, alone, providers=["CPUExecutionProvider"])
    last = len(predictor.layers_of_exits)
    names = [each.name for each in session.get_inputs()]

    class Flat(type(predictor.engine)):  # type: ignore[misc]
        def alone(self, sample: Any) -> Predictions:
            row = pad_samples([sample], {"input_ids": 0, "token_type_ids": 0})
            (logits,) = session.run(None, {name: row[name] for name in names})
            return Predictions(logits.argmax(1), logits.max(1), np.array([last]), logits)  # type: ignore[arg-type]

    predictor.engine.__class__ = Flat
    predictor.engine.packing = Packing(max_tokens=1, overhead=1)
    return predictor


def serve_flat(options: Namespace) -> None:
    """Serve the flat graph by the same server."""
    from ee_lightning.runtime import EarlyExitRuntime
    from ee_lightning.serving.server import serve

    known = EarlyExitRuntime(options.model, threads=1)
    serve(partial(flat, options.flat, options.model), known.deployment, known.layers_of_exits, port=options.port)


class PipelineAPI(litserve.LitAPI):  # type: ignore[misc]
    """Transformers' pipeline of a plain classifier of the same backbone, as in LitServe's own examples."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def setup(self, device: str) -> None:
        """Load it."""
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

        torch.set_num_threads(1)
        model = AutoModelForSequenceClassification.from_pretrained(self.folder)
        tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self.pipe = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")

    def decode_request(self, request: dict[str, str]) -> str:
        """Return the text."""
        return request["text"]

    def predict(self, text: str) -> Any:
        """Return its label."""
        return self.pipe(text)[0]


def serve_pipeline(options: Namespace) -> None:
    """Serve transformers' pipeline."""
    server = litserve.LitServer(PipelineAPI(options.pipeline), accelerator="cpu")
    server.run(HOST, options.port, num_api_servers=1, log_level="warning", generate_client_file=False)


# Clients


def request(body: object) -> bytes:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        "POST /predict HTTP/1.1",
        f"Host: {HOST}",
        "Content-Type: application/json",
        f"Content-Length: {len(sent)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + sent


class Connections:
    """Connections to a server that are kept open, and taken when they are free."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Return a connection, which is kept unless the block ends in an error."""
        pair = self._free.pop() if self._free else await asyncio.open_connection(HOST, self._port)
        yield pair
        self._free.append(pair)

    async def ask(self, sent: bytes) -> tuple[int, Any]:
        """Return the status and the answer."""
        async with self.one() as (reader, writer):
            writer.write(sent)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = re.search(r"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
        return int(head.split()[1]), json.loads(body)

    def close(self) -> None:
        """Close all that are free."""
        for _, writer in self._free:
            writer.close()


async def poisson(port: int, rate: float, seconds: float, texts: list[str], seed: int) -> list[float]:
    """Send requests at a mean rate, and return their latencies; infinity for those that failed."""
    rng, connections, tasks = random.Random(seed), Connections(port), []

    async def ask(text: str) -> float:
        began = time.perf_counter()
        try:
            status, _ = await asyncio.wait_for(connections.ask(request({"text": text})), 30)
        except (OSError, EOFError, TimeoutError):
            return inf
        return time.perf_counter() - began if status == 200 else inf

    due, ends = time.perf_counter(), time.perf_counter() + seconds
    while due < ends:
        due += rng.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(rng.choice(texts))))
    latencies = [*await asyncio.gather(*tasks)]
    connections.close()
    return latencies


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def load(options: Namespace) -> None:
    """Find the highest rate of each contestant at which p95 is held, in turns."""
    python, early = [sys.executable, str(SCRIPT)], [sys.executable, "-m", "ee_lightning", "serve", options.model]
    rule = ["--criterion", "confidence", "--threshold", str(options.threshold), "--threads", "1"]
    commands = {
        "early exit, int8": [*early, *rule],
        "full depth, int8": [*python, "--serve-flat", "--model", options.model, "--flat", options.flat],
        "transformers pipeline": [*python, "--serve-pipeline", "--pipeline", options.pipeline],
    }
    held: dict[str, list[float]] = {name: [] for name in commands}
    cores = options.cores[0], options.cores[-1]
    os.sched_setaffinity(0, {cores[1]})
    be_nice(os.getpid(), options.nice)
    print(f"{'contestant':<24}{'rate':>7}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms a request: model':>26}{'rest':>7}")
    servers = dict[str, Server]()
    try:
        for name, command in commands.items():
            servers[name] = Server(command, cores, options.nice)
        _race(servers, held, options)
    finally:
        for server in servers.values():
            server.end()
    names = [*held]
    print("\nrequests a second held at p95 <= 200 ms, by turn")
    for name in names:
        print(f"{name:<24}" + "".join(f"{rate:>8.0f}" for rate in held[name]))
    for other, bar in zip(names[1:], (1.8, 4.0), strict=True):
        ratios = sorted(mine / theirs for mine, theirs in zip(held[names[0]], held[other], strict=True) if theirs)
        if ratios:
            middle = ratios[len(ratios) // 2]
            print(f"early exit / {other}: {middle:.2f} ({', '.join(f'{each:.2f}' for each in ratios)}), bar {bar:g}")


def _race(servers: dict[str, Server], held: dict[str, list[float]], options: Namespace) -> None:
    texts = options.texts
    for turn in range(options.turns):
        for name, server in servers.items():
            rate, best, factor = options.rates[[*servers].index(name)], 0.0, options.factor
            for step in range(options.steps):
                before = server.seconds()
                latencies = asyncio.run(poisson(server.port, rate, options.seconds, texts, 100 * turn + step))
                used = [
                    1000 * (now - then) / len(latencies) for now, then in zip(server.seconds(), before, strict=True)
                ]
                p50, p95 = (quantile(latencies, share) for share in (0.5, 0.95))
                print(
                    f"{name:<24}{rate:>7.0f}{1000 * p50:>9.0f}{1000 * p95:>9.0f}{used[0]:>26.2f}{used[1]:>7.2f}",
                    flush=True,
                )
                if p95 <= P95:
                    best = max(best, rate)
                else:
                    factor **= 0.5
                rate = rate * factor if p95 <= P95 else rate / factor
            held[name].append(best)


def main(options: Namespace) -> None:
    options.texts = [line for line in options.texts.read_text(encoding="utf-8").splitlines() if line]
    load(options)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", help="an exported folder, in int8")
    parser.add_argument("--flat", help="the graph of full depth in int8, as contest/full_depth.py makes it")
    parser.add_argument("--pipeline", help="a folder with a classifier of the same backbone for transformers")
    parser.add_argument("--texts", type=Path, help="a file with a text on each line")
    parser.add_argument("--threshold", type=float, default=0.9, help="of confidence")
    parser.add_argument("--rates", type=float, nargs=3, default=[400.0, 230.0, 15.0], help="where each search begins")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each rate")
    parser.add_argument("--steps", type=int, default=5, help="rates that are tried in a turn")
    parser.add_argument("--factor", type=float, default=1.12, help="from one rate to the next, less after each miss")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--cores", type=int, nargs="+", default=[0], help="that of the model, and that of the rest")
    parser.add_argument("--nice", type=int, default=0, help="of all processes")
    parser.add_argument("--serve-flat", action="store_true", help="used by the script itself")
    parser.add_argument("--serve-pipeline", action="store_true", help="used by the script itself")
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    (serve_flat if given.serve_flat else serve_pipeline if given.serve_pipeline else main)(given)
