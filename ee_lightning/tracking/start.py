"""Starts a W&B run within a bounded time, offline where W&B can't be had."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from ssl import SSLError
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener, getproxies

import wandb
from wandb.errors import CommError, UsageError

from ee_lightning.errors import OptionError

_PROBE = 10.0
"""Seconds within which W&B has to answer any request at all."""


def start_run(options: Mapping[str, Any], start_timeout: float, finish_timeout: float) -> wandb.Run:
    """Start a run, or one that is kept offline where there is no account or W&B does not answer.

    Args:
        options: Arguments of ``wandb.init``.
        start_timeout: Seconds to wait for W&B to register the run.
        finish_timeout: Seconds to wait for uploads when the run is finished, which then raises a `TimeoutError`.

    Raises:
        OptionError: W&B refuses the options.
    """
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
        reason = _obstacle(options.get("mode"), min(start_timeout, _PROBE))
        if reason is None:
            try:
                return _started(options)
            except CommError as error:
                reason = str(error).partition("\n")[0]
        run = _started({**options, "mode": "offline"})
    except (UsageError, ValueError) as error:
        raise OptionError(
            f"W&B refuses to start a run: {error}",
            where="trainer.logger and the environment's WANDB_ variables",
            mend="mend the option that it names, or set WANDB_MODE=disabled",
        ) from error
    notice(f"{reason}. This run is kept offline. Upload it later: {upload_of(run)}")
    return run


def upload_of(run: wandb.Run) -> str:
    """Give the command that uploads what is kept of a run on this disk; one that was online is skipped by default."""
    return f"wandb sync {'' if run.offline else '--include-online '}{Path(run.settings.sync_dir).absolute()}"


def silent_service(seconds: float) -> str | None:
    """Say so where W&B does not answer any request within this time."""
    settings = wandb.setup().settings
    proxies = {"http": settings.http_proxy, "https": settings.https_proxy}
    return None if _answers(settings.base_url, proxies, seconds) else f"{settings.base_url} can't be reached"


def end_service() -> None:
    """End W&B's own process, which would keep ours waiting when it ends; what it was given is on the disk."""
    service = wandb.setup()._connection
    if service is not None and service._proc is not None:
        service._proc._process.kill()
        service._proc.join()


def notice(text: str) -> None:
    """Tell the user one line about W&B."""
    print(f"W&B: {text}", file=sys.stderr, flush=True)


def _started(options: Mapping[str, Any]) -> wandb.Run:
    run = wandb.init(**options)
    # Before it takes a table or another artifact, wandb 0.31 asks the service whether it knows one of that name and of
    # another type, and before the first one who is asking; both can take 20 seconds where no answer comes. Ours have
    # names of their own, and who is asking is asked now, while the service answers.
    run._assert_can_log_artifact = lambda artifact: None  # type: ignore[method-assign] # noqa: ARG005
    if not run.offline and not run.disabled:
        with suppress(CommError):
            run._public_api()
    return run


def _obstacle(mode: str | None, seconds: float) -> str | None:
    """Say why a run that is to be online can't be, as far as that can be found out quickly."""
    if (mode or wandb.setup().settings.mode) in {"offline", "dryrun", "disabled"}:
        return None
    if (silence := silent_service(seconds)) is not None:
        return silence
    try:
        has_account = wandb.login(prompt=False, verify=False)
    except CommError as error:
        return str(error).partition("\n")[0]
    return None if has_account else "there is no account on this machine, which `wandb login` would set up"


def _answers(url: str, proxies: Mapping[str, str | None], seconds: float) -> bool:
    """Tell whether anything answers; in a thread, because looking up a name can't be given a time."""
    opener = build_opener(ProxyHandler(getproxies() | {scheme: proxy for scheme, proxy in proxies.items() if proxy}))
    answers = []

    def ask() -> None:
        try:
            opener.open(url, timeout=seconds).close()
        except HTTPError:
            pass
        except URLError as error:
            if not isinstance(error.reason, SSLError):  # wandb has certificates of its own
                return
        except OSError:
            return
        answers.append(url)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers)
