"""A real server of an exported model on loopback, in whose processes torch can't be imported."""

import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from ee_lightning.cli import main
from ee_lightning.cli.serve import _key
from ee_lightning.runtime import EarlyExitRuntime

pytest.importorskip("litserve", reason="the extra serve is not installed")

TEXTS = [f"the film {'was very ' * (number % 7)}lovely {'dull ' * (number % 3)}" for number in range(60)]
API_KEY, ADMIN_KEY = "for clients", "for the admin"
REPOSITORY = Path(__file__).parents[2]
WITHOUT_TORCH = """
import sys
class Refusing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refusing())
"""


class Reply(NamedTuple):
    """A status and what JSON, or text, was answered."""

    status: int
    said: object


class Server:
    """A server in a process of its own.

    Args:
        model: The model's folder.
        options: Of the command.
    """

    def __init__(self, model: Path, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._log = folder / "log"
        (folder / "sitecustomize.py").write_text(WITHOUT_TORCH)
        command = [sys.executable, "-m", "ee_lightning", "serve", str(model), f"--port={self.port}", *options]
        environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
            )
        ends = time.monotonic() + 120
        while "serving at" not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < ends, self.log
            time.sleep(0.1)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ask(self, method: str, path: str, body: object = None, key: str = API_KEY) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            sent = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            connection.request(method, path, sent, {"X-API-Key": key} if key else {})
            answer = connection.getresponse()
            said = answer.read().decode()
            is_json = answer.headers.get_content_type() == "application/json"
            return Reply(answer.status, json.loads(said) if is_json else said)
        finally:
            connection.close()

    def predict(self, **body: object) -> Reply:
        return self.ask("POST", "/predict", body)

    def metric(self, name: str) -> float:
        lines = str(self.ask("GET", "/metrics").said).splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")))

    def process_of_the_model(self) -> int:
        """Return the number of the process that has the graphs of the model loaded."""
        (number,) = self.processes_of_the_model()
        return number

    def processes_of_the_model(self) -> set[int]:
        found = set[int]()
        for each in Path("/proc").iterdir():
            if each.name.isdigit() and os.getpgid(int(each.name)) == self.process.pid:
                arguments = (each / "cmdline").read_bytes()
                if b"spawn_main" in arguments and "onnxruntime" in (each / "maps").read_text():
                    found.add(int(each.name))
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "api").write_text(f"{API_KEY}\n")
    (folder / "admin").write_text(f"{ADMIN_KEY}\n")
    options = ("--threads=1", f"--api-key={folder / 'api'}", f"--admin-key={folder / 'admin'}", "--max-texts=50")
    running = Server(exported, folder, *options, "--max-body=20000", "--max-waiting=500", "--timeout=60")
    yield running
    running.end()


@pytest.fixture(scope="module")
def expected(exported: Path) -> list[dict[str, object]]:
    """Return what is predicted for the texts, one by one, without a server."""
    predictor = EarlyExitRuntime(exported, threads=1)
    return [predictor(text)._asdict() for text in TEXTS]


def same(said: dict[str, object], expected: dict[str, object]) -> bool:
    close = pytest.approx([expected["probability"], expected["score"]], abs=1e-4)
    is_close = [said["probability"], said["score"]] == close
    return is_close and all(said[name] == expected[name] for name in ("label", "exit_layer"))


def test_clients_get_what_the_predictor_gives_whoever_else_asks(server: Server, expected: list[dict]) -> None:
    def ask(number: int) -> Reply:
        if number % 10 == 7:
            return server.ask("POST", "/predict", b'{"text": "half of')
        return server.predict(text=TEXTS[number])

    with ThreadPoolExecutor(20) as clients:
        replies = [*clients.map(ask, range(len(TEXTS)))]
    for number, reply in enumerate(replies):
        assert reply.status == (400 if number % 10 == 7 else 200)
        assert number % 10 == 7 or same(reply.said, expected[number])
    many = server.predict(texts=TEXTS[:40])
    assert many.status == 200
    assert all(map(same, many.said["predictions"], expected[:40]))


def test_limits_and_keys(server: Server) -> None:
    assert server.predict(texts=["a"] * 51).status == 413
    assert server.predict(text="a" * 19_990).status == 413  # the request is too large
    assert server.ask("POST", "/predict", {"text": "a"}, key="").status == 401
    assert server.ask("POST", "/predict", b"x" * 30_000, key="another").status == 401
    assert server.ask("GET", "/metrics", key="").status == 401
    assert server.ask("GET", "/health", key="") == Reply(200, "ok")
    assert server.ask("GET", "/predict").status == 405
    assert server.ask("PUT", "/threshold", {"threshold": 0.5}).status == 401
    assert server.ask("PUT", "/threshold", {"threshold": "high"}, key=ADMIN_KEY).status == 422


def test_the_threshold_is_changed_live(server: Server, expected: list[dict]) -> None:
    assert {each["exit_layer"] for each in expected} > {3}
    for threshold, exit_layer in ((-100, 1), ("inf", 3)):
        changed = server.ask("PUT", "/threshold", {"threshold": threshold}, key=ADMIN_KEY)
        assert (changed.status, changed.said["is_own"]) == (200, False)
        said = server.predict(texts=TEXTS[:40]).said["predictions"]
        assert {each["exit_layer"] for each in said} == {exit_layer}
        assert server.predict(text=TEXTS[0]).said["exit_layer"] == exit_layer
    back = server.ask("PUT", "/threshold", {"threshold": None}, key=ADMIN_KEY)
    assert back.said == {"criterion": "voting(k=0.5)", "threshold": [1.2] * 3, "is_own": True}
    assert back.said == server.ask("GET", "/threshold").said
    assert all(map(same, server.predict(texts=TEXTS[:40]).said["predictions"], expected[:40]))


def test_metrics_count_what_was_answered(server: Server, expected: list[dict]) -> None:
    before = {name: server.metric(name) for name in ("ee_exit_count", "ee_exit_sum", "ee_rows_cut_total")}
    assert server.predict(texts=[*TEXTS[:10], "lovely " * 100]).status == 200
    assert server.metric("ee_exit_count") == before["ee_exit_count"] + 11
    assert server.metric("ee_rows_cut_total") == before["ee_rows_cut_total"] + 1
    assert server.metric("ee_exit_sum") > before["ee_exit_sum"] + sum(each["exit_layer"] for each in expected[:10])
    assert 1 <= server.metric("ee_mean_layers") <= 3
    assert server.metric("ee_rows_waiting") == 0
    assert server.metric('ee_requests_total{status="200"}') >= 1
    assert server.metric("ee_request_seconds_count") >= 1


def test_requests_outlive_the_process_of_the_model(server: Server, expected: list[dict]) -> None:
    number = server.process_of_the_model()
    os.kill(number, signal.SIGSTOP)  # so that it has requests when it dies
    with ThreadPoolExecutor(20) as clients:
        replies = [clients.submit(server.predict, text=text) for text in TEXTS[:20]]
        wait_until(lambda: server.metric("ee_rows_waiting") >= 20)
        os.kill(number, signal.SIGKILL)
        for reply, each in zip(replies, expected, strict=False):
            assert reply.result().status == 200
            assert same(reply.result().said, each)
    assert server.process_of_the_model() != number
    assert server.ask("GET", "/health", key="").status == 200


def test_requests_outlive_one_of_two_processes(exported: Path, expected: list[dict], tmp_path: Path) -> None:
    server = Server(exported, tmp_path, "--threads=1", "--workers=2")
    try:
        wait_until(lambda: len(server.processes_of_the_model()) == 2)
        wait_until(lambda: server.ask("GET", "/health").status == 200)  # as soon as both are ready
        one, other = server.processes_of_the_model()
        for number in (one, other):
            os.kill(number, signal.SIGSTOP)
        with ThreadPoolExecutor(20) as clients:
            replies = [clients.submit(server.predict, text=text) for text in TEXTS[:20]]
            wait_until(lambda: server.metric("ee_rows_waiting") >= 20)
            os.kill(one, signal.SIGKILL)  # the successor of which answers, also what was on its way to the other
            for reply, each in zip(replies, expected, strict=False):
                assert reply.result().status == 200
                assert same(reply.result().said, each)
        assert other in server.processes_of_the_model()
    finally:
        server.end()


def test_too_many_that_wait_are_told_to_come_again(server: Server) -> None:
    number = server.process_of_the_model()
    os.kill(number, signal.SIGSTOP)
    with ThreadPoolExecutor(12) as clients:
        replies = [clients.submit(server.predict, texts=TEXTS[:50]) for _ in range(11)]
        wait_until(lambda: server.metric("ee_rows_waiting") >= 500 and any(reply.done() for reply in replies))
        os.kill(number, signal.SIGCONT)
        assert sorted(reply.result().status for reply in replies) == [*[200] * 10, 503]


def test_clients_that_are_gone_leave_no_trace(server: Server) -> None:
    number = server.process_of_the_model()
    os.kill(number, signal.SIGSTOP)
    for waiting in range(1, 6):
        with _asking(server) as client:
            wait_until(lambda number=waiting: server.metric("ee_rows_waiting") >= number)
            _reset(client)
    os.kill(number, signal.SIGCONT)
    wait_until(lambda: not server.metric("ee_rows_waiting"))
    assert server.predict(text=TEXTS[0]).status == 200
    assert "Traceback" not in server.log


def test_clients_that_leave_in_the_middle_of_their_request_leave_no_trace(server: Server) -> None:
    def counted() -> int:
        found = re.search(r'ee_requests_total\{status="499"\} (\d+)', str(server.ask("GET", "/metrics").said))
        return int(found[1]) if found else 0

    before, timed = counted(), server.metric("ee_request_seconds_count")
    for _ in range(5):
        with _asking(server, of_body=0.5) as client:
            assert client.recv(100).startswith(b"HTTP/1.1 100 "), "it reads the body"
            _reset(client)
    wait_until(lambda: counted() == before + 5)
    assert server.metric("ee_request_seconds_count") == timed, "nobody was answered"
    assert server.predict(text=TEXTS[0]).status == 200
    assert "Traceback" not in server.log


def _asking(server: Server, of_body: float = 1.0) -> socket.socket:
    """Send a request, with a part of its body."""
    body = json.dumps({"text": TEXTS[0]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nX-API-Key: {API_KEY}\r\nContent-Length: {len(body)}\r\n"
    head += "Expect: 100-continue\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(head.encode() + body[: round(of_body * len(body))])
    return client


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # so that closing resets it
    client.close()


def test_a_taken_port_is_said(server: Server, exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(exported), f"--port={server.port}"]) == 1
    assert f"port {server.port} can't be used: Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize(("key", "said"), [(" ", "the key is empty"), ("schlüssel", "no client can send this key")])
def test_a_key_that_nobody_has_opens_no_server(
    key: str,
    said: str,
    exported: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "key").write_text(key)
    assert main(["serve", str(exported), f"--admin-key={tmp_path / 'key'}"]) == 1
    monkeypatch.setenv("EE_LIGHTNING_API_KEY", key)
    assert main(["serve", str(exported)]) == 1
    told = capsys.readouterr().err
    assert told.count(said) == 2
    assert f"where: {tmp_path / 'key'}\n" in told
    assert "where: EE_LIGHTNING_API_KEY\n" in told


def test_spaces_around_a_key_are_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EE_LIGHTNING_API_KEY", f" {API_KEY}\n")
    assert _key(None, "EE_LIGHTNING_API_KEY") == API_KEY


def test_the_end_answers_what_has_come(server: Server, expected: list[dict]) -> None:
    number = server.process_of_the_model()
    os.kill(number, signal.SIGSTOP)
    with ThreadPoolExecutor(20) as clients:
        replies = [clients.submit(server.predict, text=text) for text in TEXTS[:20]]
        wait_until(lambda: server.metric("ee_rows_waiting") >= 20)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        os.kill(number, signal.SIGCONT)
        for reply, each in zip(replies, expected, strict=False):
            assert reply.result().status == 200
            assert same(reply.result().said, each)
    assert server.process.wait(60) in (0, 130)
    assert "Traceback" not in server.log


def test_the_server_ends_where_the_process_for_clients_dies(exported: Path, tmp_path: Path) -> None:
    server = Server(exported, tmp_path)
    try:
        main_process = server.process.pid
        forks = (each for each in Path("/proc").iterdir() if each.name.isdigit() and int(each.name) != main_process)
        same = [int(each.name) for each in forks if os.getpgid(int(each.name)) == main_process]
        of_command = [each for each in same if b"\0serve\0" in Path(f"/proc/{each}/cmdline").read_bytes()]
        os.kill(max(of_command), signal.SIGKILL)  # the latest
        assert server.process.wait(30) == 1
        assert "error: the process for clients died" in server.log
        assert "Traceback" not in server.log
    finally:
        server.end()
