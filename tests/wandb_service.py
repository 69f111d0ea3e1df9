"""A stand-in for the W&B service on this machine, for the real ``wandb`` programs and library.

These calls of wandb 0.31.0 are answered, as they were seen on the wire:

- ``POST /graphql``, by the name of the operation: ``Viewer``, ``UpsertSweep`` and ``SweepWithRuns`` (``wandb sweep``);
  ``CreateAgent`` and ``Heartbeat`` (``wandb agent``); ``RunResumeStatus`` (a run that may go on), ``UpsertBucket`` and
  ``CreateRunFiles`` (a run); ``GetDefaultEntity``, ``Runs`` and ``Run`` (``wandb.Api().runs``, unfiltered, and
  ``wandb.Api().run``); those of artifacts, see `wandb_artifacts`. Any other operation, as ``ServerFeaturesQuery``, gets
  an error, which wandb takes for an old service.
- ``POST /files/ENTITY/PROJECT/RUN/file_stream``: history, summary, console and how the run ended, by the line.
- ``PUT /upload/RUN/FILE``: the addresses that ``CreateRunFiles`` gives.
- ``PUT`` and ``GET /artifacts/…``: those that are given for the files of artifacts.

Any other address, as that of wandb's telemetry, is not found. A grid is handed out point by point to whichever agent
asks next; one that reports no run has ended the last.
"""

import gzip
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

import yaml
from wandb_artifacts import ServedArtifacts

ENTITY = "someone"
API_KEY = "0123456789abcdef0123456789abcdef01234567"  # 40 letters, as wandb checks
_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass
class ServedRun:
    """What the service was told of a run.

    Attributes:
        name: Its id.
        sweep: The id of its sweep, if it has one.
        config: Its configuration.
        charts: What its charts are drawn by.
        history: What it logged, a row a step.
        summary: Its latest summary.
        console: The lines that it printed.
        files: The files that it uploaded.
        exit_code: The status that it ended with; None before that.
    """

    name: str
    sweep: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    charts: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def state(self) -> str:
        """What W&B calls the state that it is in."""
        return {None: "running", 0: "finished"}.get(self.exit_code, "failed")

    @property
    def described(self) -> dict[str, Any]:
        """What the service tells of it."""
        return {
            "id": self.name,
            "name": self.name,
            "displayName": self.name,
            "state": self.state,
            "sweepName": self.sweep,
            "config": json.dumps({key: {"value": value} for key, value in self.config.items()}),
            "summaryMetrics": json.dumps(self.summary),
            "tags": [],
        }

    def take(self, stream: Mapping[str, Any]) -> None:
        """Take in what the run streams."""
        for file, part in stream.get("files", {}).items():
            lines = part["content"]
            if file == "wandb-history.jsonl":
                self.history[part["offset"] :] = [json.loads(line) for line in lines]
            elif file == "wandb-summary.json":
                self.summary = json.loads(lines[-1])
            elif file == "output.log":
                self.console[part["offset"] :] = lines
        if stream.get("complete"):
            self.exit_code = stream["exitcode"]


@dataclass
class ServedSweep:
    """A sweep.

    Attributes:
        config: Its file, as ``wandb sweep`` sent it.
        project: The name of its project.
        points: The points that no agent has got yet.
        given: The points that agents have got, by the id of the run, in this order.
    """

    config: str
    project: str
    points: list[dict[str, Any]]
    given: dict[str, dict[str, Any]] = field(default_factory=dict)


class WandbService:
    """The service; as a context manager it listens on a free port of this machine.

    Attributes:
        runs: What it was told of runs, by their ids.
        sweeps: The sweeps, by their ids.
        agents: The id of every agent's sweep, by the agent's id.
        artifacts: The artifacts.
        calls: The names of all operations that were asked for, those that got an error among them.
        to_stop: The ids of runs that their agents shall stop, as Hyperband does.
        answers: How operations are answered, by name, from their variables; add to it what a test needs.
        is_down: Whether it went down.
        answering: Cleared, it goes on to accept connections, and answers nothing.
    """

    def __init__(self) -> None:
        self.runs: dict[str, ServedRun] = {}
        self.sweeps: dict[str, ServedSweep] = {}
        self.agents: dict[str, str] = {}
        self.artifacts = ServedArtifacts(lambda: self.url, ENTITY)
        self.calls: list[str] = []
        self.to_stop: set[str] = set()
        self.is_down = False
        self.answering = threading.Event()
        self.answering.set()
        self.answers: dict[str, Answer] = {
            "Viewer": self._viewer,
            "GetDefaultEntity": self._viewer,
            "UpsertSweep": self._upsert_sweep,
            "SweepWithRuns": self._sweep_with_runs,
            "CreateAgent": self._create_agent,
            "Heartbeat": self._heartbeat,
            "RunResumeStatus": self._run_resume_status,
            "UpsertBucket": self._upsert_bucket,
            "CreateRunFiles": self._create_run_files,
            "Runs": self._runs,
            "Run": self._run,
            **self.artifacts.answers,
        }
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """Its address, for ``WANDB_BASE_URL``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Go down: from now on nobody listens, also on connections that are open."""
        self.is_down = True
        self.answering.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def graphql(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an operation."""
        found = _OPERATION.search(query)
        name = found[1] if found else query
        with self._lock:
            self.calls.append(name)
            if name not in self.answers:
                return {"errors": [{"message": f"{name} is not answered here"}], "data": None}
            return {"data": self.answers[name](variables)}

    def stream(self, run: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Take in what a run streams."""
        with self._lock:
            self.runs.setdefault(run, ServedRun(run)).take(content)
            return {}

    def upload(self, run: str, file: str, content: bytes) -> None:
        """Take in a file."""
        with self._lock:
            self.runs.setdefault(run, ServedRun(run)).files[file] = content

    def upload_of_artifact(self, address: str, content: bytes) -> None:
        """Take in a file of an artifact."""
        with self._lock:
            place, name = self.artifacts.place(address)
            place[name] = content

    def download_of_artifact(self, address: str) -> bytes:
        """Return a file of an artifact."""
        with self._lock:
            place, name = self.artifacts.place(address)
            return place[name]

    def _viewer(self, _: Mapping[str, Any]) -> dict[str, Any]:
        viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}"}
        return {"viewer": {**viewer, "teams": {"edges": [{"node": {"name": ENTITY}}]}}}

    def _upsert_sweep(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        name, config, project = f"sweep{len(self.sweeps)}", variables["config"], variables["projectName"]
        self.sweeps[name] = ServedSweep(config, project, _grid(yaml.safe_load(config)))
        return {"upsertSweep": {"sweep": {"name": name, "project": _project(project)}, "configValidationWarnings": []}}

    def _sweep_with_runs(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        name = variables["sweep"]
        if name not in self.sweeps:
            return {"project": {"sweep": None}}
        sweep = {"id": name, "name": name, "state": "RUNNING", "config": self.sweeps[name].config}
        return {"project": {"sweep": {**sweep, "runs": {"edges": []}}}}

    def _create_agent(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        name = f"agent{len(self.agents)}"
        self.agents[name] = variables["sweep"]
        return {"createAgent": {"agent": {"id": name}}}

    def _heartbeat(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Hand an agent without a run the next point, or, where there is none, send it away."""
        agent, running = variables["id"], json.loads(variables["runState"])
        sweep = self.sweeps[self.agents[agent]]
        if running:
            commands = [{"type": "stop", "run_id": run} for run in running if run in self.to_stop]
        elif sweep.points:
            run = f"{self.agents[agent]}-run{len(sweep.given)}"
            sweep.given[run] = point = sweep.points.pop(0)
            args = {name: {"value": value} for name, value in point.items()}
            program = yaml.safe_load(sweep.config)["program"]
            commands = [{"type": "run", "run_id": run, "program": program, "args": args}]
        else:
            commands = [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": agent}, "commands": json.dumps(commands)}}

    def _run_resume_status(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return to a run that may go on how far it came."""
        run = self.runs.get(variables["name"])
        bucket = run and {
            "id": run.name,
            "name": run.name,
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "logLineCount": len(run.console),
            "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
            "eventsTail": "[]",
            "summaryMetrics": json.dumps(run.summary),
            "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
            "tags": [],
            "wandbConfig": json.dumps({"t": 1}),
        }
        return {"model": {**_project(variables["project"]), "bucket": bucket}}

    def _upsert_bucket(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        is_new = name not in self.runs
        run = self.runs.setdefault(name, ServedRun(name))
        run.sweep = variables.get("sweep") or run.sweep
        config = json.loads(variables.get("config") or "{}")
        run.charts |= config.pop("_wandb", {}).get("value", {}).get("visualize", {})
        run.config |= {key: entry["value"] for key, entry in config.items()}
        project = _project(variables["project"])
        bucket = {"id": name, "name": name, "displayName": name, "sweepName": run.sweep, "project": project}
        return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": is_new}}

    def _create_run_files(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        run = variables["run"]
        files = [{"name": file, "uploadUrl": f"{self.url}/upload/{run}/{quote(file)}"} for file in variables["files"]]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}

    def _run(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        run = self.runs.get(variables["name"])
        return {"project": {"run": None if run is None else {**run.described, "projectId": "1"}}}

    def _runs(self, _: Mapping[str, Any]) -> dict[str, Any]:
        nodes = [run.described for run in self.runs.values()]
        page = {"edges": [{"node": node, "cursor": node["id"]} for node in nodes], "pageInfo": {"hasNextPage": False}}
        return {"project": {"runCount": len(nodes), "runs": page}}


class _Server(ThreadingHTTPServer):
    def __init__(self, service: WandbService) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/graphql":
            asked = json.loads(body)
            self._answer(self.server.service.graphql(asked["query"], asked.get("variables") or {}))
        elif self.path.endswith("/file_stream"):
            self._answer(self.server.service.stream(self.path.split("/")[-2], json.loads(body)))
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        service, content = self.server.service, self._body()
        kind, _, address = self.path[1:].partition("/")
        if kind == "artifacts":
            service.upload_of_artifact(unquote(address), content)
        else:
            run, file = address.split("/", 1)
            service.upload(run, unquote(file), content)
        self._answer({})

    def do_GET(self) -> None:
        kind, _, address = self.path[1:].partition("/")
        if kind == "artifacts":
            self._send(self.server.service.download_of_artifact(unquote(address)))
        else:
            self.send_error(404)

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.service.answering.wait()
        if self.server.service.is_down:
            raise ConnectionError
        return gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body

    def _answer(self, content: Mapping[str, Any]) -> None:
        self._send(json.dumps(content).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep still."""


def _project(name: str) -> dict[str, Any]:
    return {"id": "1", "name": name, "entity": {"id": "1", "name": ENTITY}}


def _grid(sweep: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all points of a grid."""
    assert sweep["method"] == "grid", "only a grid can be handed out here"
    choices = {name: given.get("values", [given.get("value")]) for name, given in sweep["parameters"].items()}
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
