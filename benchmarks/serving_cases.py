"""Servers and clusters in other cases: mistakes and deaths; who comes joins, or waits; Ray beside one process."""

import asyncio
import os
import random
import signal
import sys
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from serving import HOST, Connections, Server, quantile, request


def faults(options: Namespace) -> None:
    """Send requests, some malformed, kill clients and the model's process, restart the server; count answers."""
    from ee_lightning.runtime import EarlyExitRuntime

    texts = options.texts
    predictor = EarlyExitRuntime(options.model, threads=1)
    expected = dict(zip(texts, predictor(texts), strict=True))
    command = [sys.executable, "-m", "ee_lightning", "serve", options.model, "--threads", "1"]
    server, cores, counts = Server(command, (0, 0), 0), (0, 0), Counter[str]()
    port, rng = server.port, random.Random(0)

    async def client(share: list[int], connections: Connections) -> None:
        for number in share:
            text = texts[number % len(texts)]
            is_bad = number % 100 == 50
            sent = request(b'{"text": "a') if is_bad else request({"text": text})
            while True:
                try:
                    status, said = await asyncio.wait_for(connections.ask(sent), 90)
                except ConnectionRefusedError:  # nobody listens, so nothing was accepted
                    counts["refused, sent again"] += 1
                    await asyncio.sleep(0.2)
                    continue
                except (OSError, EOFError, TimeoutError) as error:
                    counts["lost" if isinstance(error, TimeoutError) else "cut off, sent again"] += 1
                    if isinstance(error, TimeoutError):
                        break
                    await asyncio.sleep(0.2)
                    continue
                if status == 503:
                    counts["told to come again"] += 1
                    await asyncio.sleep(0.2)
                    continue
                break
            if is_bad:
                counts["malformed, answered 400" if status == 400 else "malformed, answered otherwise"] += 1
            elif status != 200:
                counts[f"answered {status}"] += 1
            else:
                right = expected[text]
                is_right = said["label"] == right.label and abs(said["probability"] - right.probability) < 1e-3
                close = abs(right.score - predictor.engine.thresholds[0]) < 1e-3
                counts["right" if is_right or close else "wrong"] += 1

    async def killed(connections: int) -> None:
        for _ in range(connections):
            _, writer = await asyncio.open_connection(HOST, port)
            for text in rng.sample(texts, 5):
                writer.write(request({"text": text}))
            await asyncio.sleep(0.01)
            writer.transport.abort()
            counts["clients killed"] += 1

    async def everything() -> None:
        nonlocal server
        connections = Connections(port)
        clients = [
            asyncio.create_task(client([*range(start, options.requests, 40)], connections)) for start in range(40)
        ]

        def done() -> int:
            return counts["right"] + counts["wrong"]

        async def until(share: float) -> None:
            while done() < share * options.requests and not all(each.done() for each in clients):
                await asyncio.sleep(0.05)

        await until(0.2)
        await killed(5)
        await until(0.4)
        os.kill(next(each for each in server.numbers() if server.is_model(each)), signal.SIGKILL)
        counts["model's process killed"] += 1
        await until(0.7)
        await asyncio.to_thread(server.end)
        counts["server stopped and started"] += 1
        server = await asyncio.to_thread(Server, command, cores, 0, port)
        await asyncio.gather(*clients)

    began = time.perf_counter()
    asyncio.run(everything())
    server.end()
    print(f"{options.requests} requests of 40 clients in {time.perf_counter() - began:.0f} s")
    for what, number in sorted(counts.items()):
        print(f"{what:<32}{number:>7}")


def joining(options: Namespace) -> None:
    """Replay a Poisson process through the model with the processor's time as the clock: who comes joins, or waits."""
    from ee_lightning.runtime import EarlyExitRuntime
    from ee_lightning.serving import flow

    rule, rng = flow.joining_pays, random.Random(0)
    predictor = EarlyExitRuntime(options.model, threads=1, criterion="confidence", threshold=options.threshold)
    samples = [predictor.encode((text,))[0] for text in options.texts]
    policies: dict[str, Any] = {"never": lambda *_: False, "by the rule": rule, "always": lambda *_: True}
    for rate in options.rates:
        arrivals = [(rng.expovariate(rate), rng.choice(samples)) for _ in range(900)]
        for name, pays in policies.items():
            joined = [0]
            flow.joining_pays = lambda *loads, pays=pays, joined=joined: joined.append(found := pays(*loads)) or found
            latencies, used = _replay(flow.Flow(predictor.engine, predictor.layers_of_exits), arrivals)
            flow.joining_pays = rule
            mean, p95 = 1000 * sum(latencies) / len(latencies), 1000 * quantile(latencies, 0.95)
            cpu = f"CPU {1000 * used / len(latencies):.2f} ms"
            print(f"{rate:>5.0f}/s {name:<12} mean {mean:>6.1f} ms, p95 {p95:>6.1f} ms, {cpu}, joins {sum(joined)}")


def _replay(going: Any, arrivals: list[tuple[float, Any]]) -> tuple[list[float], float]:
    """Return the latencies of rows that come at intervals, in seconds, and the processor's time."""
    due, now, used, came, latencies, waiting = 0.0, 0.0, 0.0, 0, list[float](), list[tuple[float, Any]]()
    times = [due := due + gap for gap, _ in arrivals]
    while len(latencies) < len(arrivals):
        while came < len(arrivals) and times[came] <= now:
            waiting.append((times[came], arrivals[came][1]))
            came += 1
        if not waiting and going.is_empty:
            now = times[came]
            continue
        began, left = time.process_time(), list[float]()
        some = waiting[: 1 if going.is_empty and len(waiting) <= 4 else 20]
        if some and going.takes([sample for _, sample in some]):
            waiting = waiting[len(some) :]
            for tickets, _ in going.start([sample for _, sample in some], [since for since, _ in some]):
                left += tickets
        if not going.is_empty:
            for tickets, _ in going.step():
                left += tickets
        spent = time.process_time() - began
        now, used = now + spent, used + spent
        latencies += [now - since for since in left]
    return latencies, used


def ray(options: Namespace) -> None:
    """Score a data set by two actors and by one process, and compare rows, order and columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ee_lightning.scoring import BatchScorer
    from ee_lightning.scoring.on_ray import cluster, score_on_ray

    rule = {"criterion": "confidence", "threshold": options.threshold, "threads": 1}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "data").mkdir()
        per_file = options.rows // 8
        for file in range(8):
            some = [options.texts[(file * per_file + row) % len(options.texts)] for row in range(per_file)]
            table = pa.table({"row": range(file * per_file, (file + 1) * per_file), "sentence": some})
            pq.write_table(table, folder / "data" / f"{file}.parquet")
        scorer, began = BatchScorer(options.model, **rule), time.perf_counter()
        cpu = time.process_time()
        for written in sorted((folder / "data").glob("*.parquet")):
            (folder / "one").mkdir(exist_ok=True)
            pq.write_table(scorer(pq.read_table(written)), folder / "one" / written.name)
        alone = time.perf_counter() - began
        print(f"one process: {8 * per_file / alone:.0f} rows/s, {time.process_time() - cpu:.0f} CPU s of {alone:.0f} s")
        with cluster(2):
            began = time.perf_counter()
            places = str(folder / "data"), str(folder / "ray")
            score_on_ray(options.model, *places, workers=2, keeps_order=True, **rule)
            two = time.perf_counter() - began
        print(f"two actors:  {8 * per_file / two:.0f} rows/s, {two:.0f} s: {alone / two:.2f} times, bar 1.7")
        one, other = (pq.read_table(folder / name) for name in ("one", "ray"))
        same = [name for name in one.column_names if one[name].equals(other[name])]
        print(f"rows {other.num_rows}, order kept: {other['row'].equals(one['row'])}, equal columns: {', '.join(same)}")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("what", choices=["faults", "joining", "ray"])
    parser.add_argument("--model", help="an exported folder")
    parser.add_argument("--texts", type=Path, help="a file with a text on each line")
    parser.add_argument("--threshold", type=float, default=0.9, help="of confidence")
    parser.add_argument("--rates", type=float, nargs="+", default=[250.0, 400.0], help="of rows that join or wait")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    given.texts = [line for line in given.texts.read_text(encoding="utf-8").splitlines() if line]
    {"faults": faults, "joining": joining, "ray": ray}[given.what](given)
