"""Starts a W&B run within a bounded time, offline where W&B can't be reached."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from ssl import SSLError
from subprocess import Popen
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener, getproxies

import wandb
from wandb.errors import CommError, UsageError

from ee_lightning.errors import OptionError, first_line
from ee_lightning.files import read_json, reading, typed
from ee_lightning.runs.folder import RunFolder


def ask_no_more(run: wandb.Run) -> None:
    """Ask now, of a run that has just begun, what W&B would ask its service later, and keep it from asking more.

    Before it takes a table or another artifact, wandb 0.31 asks the service for one of that name and another type, and
    before the first one who is asking. Both can take 20 seconds without an answer, in which nothing is written to disk.
    """
    with suppress(AttributeError):
        run._assert_can_log_artifact = lambda artifact: None  # type: ignore[method-assign] # noqa: ARG005
    if not run.offline and not run.disabled:
        with suppress(AttributeError, CommError):
            run._public_api()


def has_account() -> bool:
    """Return whether there is an account to ask W&B by, or that is not known, without a question at the terminal."""
    try:
        authenticate = attrgetter("sdk.lib.wbauth.authenticate_session")(wandb)
        host = wandb.setup().settings.base_url
        return authenticate(host=host, source="ee-lightning", prompt=False, update_session=False) is not None
    except (AttributeError, TypeError):
        return True


def process_of_service() -> Popen[bytes] | None:
    """Return W&B's own process, if this one started it, as far as known; wandb 0.31 waits for its end for ever."""
    with suppress(AttributeError):
        process = attrgetter("_connection._proc._process")(wandb.setup())
        return process if isinstance(process, Popen) else None
    return None


@dataclass(frozen=True)
class _Record:
    entity: str | None
    project: str
    run: str


def read_record(folder: RunFolder) -> dict[str, Any]:
    """Read of which W&B run a run folder is: ``entity``, ``project`` and ``run``; empty where it is of none.

    Raises:
        RunFolderError: The file is damaged.
    """
    with reading(folder.wandb, hint="delete it; a W&B run of its own then begins where this run goes on"):
        return asdict(typed(_Record, read_json(folder.wandb))) if folder.wandb.is_file() else {}


def write_record(folder: RunFolder, run: wandb.Run) -> None:
    """Write what `read_record` reads."""
    record = {"entity": run.entity or None, "project": run.project, "run": run.id}
    if record != read_record(folder):
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_json(folder.wandb.name, record)


_PROBE = 10.0  # seconds within which W&B has to answer any request at all


def start_run(
    options: Mapping[str, Any], start_timeout: float, finish_timeout: float, folder: RunFolder | None
) -> wandb.Run:
    """Start a run, or one that is kept offline where there is no account or W&B does not answer.

    Args:
        options: Arguments of ``wandb.init``.
        start_timeout: Seconds to wait for W&B to register the run.
        finish_timeout: Seconds to wait for uploads at the end of the run, which then raises a `TimeoutError`.
        folder: The run folder, whose W&B run goes on if there is one.

    Raises:
        OptionError: W&B refuses the options.
        RunFolderError: The folder's record of its W&B run is damaged.
    """
    record = {} if folder is None else read_record(folder)
    if record and options.get("id") is None and "WANDB_RUN_ID" not in os.environ:  # else another run is named
        options = {**options, "id": record["run"], "resume": "allow"}  # without which it would be written over
    settings = wandb.Settings(
        init_timeout=start_timeout,
        finish_timeout=finish_timeout,
        finish_timeout_raises=True,
        x_transaction_log_flush_interval=1.0,  # what is on the disk is all that is left where its process is ended
        max_end_of_run_history_metrics=0,  # which the run's own table says better
        max_end_of_run_summary_metrics=0,
    )
    options = {"settings": settings, **{name: value for name, value in options.items() if value is not None}}
    try:
        run, reason = None, _obstacle(options.get("mode"), min(start_timeout, _PROBE))
        if reason is None:
            try:
                run = wandb.init(**options)
            except CommError as error:
                reason = first_line(error)
        run = run or wandb.init(**{**options, "mode": "offline"})
    except (UsageError, ValueError) as error:
        raise OptionError(
            f"W&B refuses to start a run: {error}",
            where="trainer.logger and the environment's WANDB_ variables",
            hint="fix the option that it names, or set WANDB_MODE=disabled",
        ) from error
    ask_no_more(run)
    if reason is not None:
        notice(f"{reason}. This run is kept offline. Upload it later: {upload_of(run)}")
    if folder is not None and not run.disabled:
        write_record(folder, run)
    return run


def upload_of(run: wandb.Run) -> str:
    """Return the command that uploads what is kept of a run on this disk; by itself it skips one that began online."""
    option = "" if run.offline else "--include-online "
    return f"wandb sync {option}{Path(run.settings.sync_dir).absolute()}"


def silent_service(seconds: float) -> str | None:
    """Say so where W&B does not answer any request within this time; for a name to look up there is no other limit."""
    settings, answers = wandb.setup().settings, []
    proxies = {"http": settings.http_proxy, "https": settings.https_proxy}
    opener = build_opener(ProxyHandler(getproxies() | {scheme: proxy for scheme, proxy in proxies.items() if proxy}))

    def ask() -> None:
        try:
            opener.open(settings.base_url, timeout=seconds).close()
        except OSError as error:
            is_of_certificate = isinstance(getattr(error, "reason", None), SSLError)  # wandb has some of its own
            if not (isinstance(error, HTTPError) or is_of_certificate):
                return
        answers.append(settings.base_url)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return None if answers else f"{settings.base_url} can't be reached"


def leave_service(seconds: float) -> None:
    """Let W&B's own process end in so many seconds, or end it, as ours would wait for ever; its data are on disk."""

    def leave() -> None:
        with suppress(Exception):  # it may be gone
            wandb.teardown()

    process = process_of_service()
    leaving = Thread(target=leave, daemon=True)
    leaving.start()
    leaving.join(seconds)
    if leaving.is_alive() and process is not None:
        process.kill()
        leaving.join(seconds)


def notice(text: str) -> None:
    """Print one line about W&B."""
    print(f"W&B: {text}", file=sys.stderr, flush=True)


def _obstacle(mode: str | None, seconds: float) -> str | None:
    """Say why a run that is to be online can't be, as far as that can be found out quickly."""
    if (mode or wandb.setup().settings.mode) in {"offline", "dryrun", "disabled"}:
        return None
    if (silence := silent_service(seconds)) is not None:
        return silence
    try:
        has_account = wandb.login(prompt=False, verify=False)
    except CommError as error:
        return first_line(error)
    return None if has_account else "there is no account on this machine, which `wandb login` would set up"


def open_api(where: str, seconds: int) -> wandb.Api:
    """Open the API, or raise an `OptionError` where W&B is silent so long, or there is no account on this machine."""
    if (silence := silent_service(seconds)) is not None:
        raise OptionError(silence, where=where, hint="ask again where W&B can be reached, or set WANDB_BASE_URL right")
    if not has_account():
        hint = "log in (wandb login), or set WANDB_API_KEY"
        raise OptionError("there is no account of W&B on this machine", where=where, hint=hint)
    return wandb.Api(timeout=seconds)
