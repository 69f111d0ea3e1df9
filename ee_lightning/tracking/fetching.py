"""Run folders back from artifacts of Weights & Biases."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any, TypeGuard

import wandb
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ee_lightning.errors import OptionError, RunFolderError, first_line
from ee_lightning.files import unfinished_of
from ee_lightning.reporting import RunFolder
from ee_lightning.tracking.artifacts import TYPE, is_code, name_of
from ee_lightning.tracking.public_api import open_api

_PATIENCE = 20
"""Seconds that W&B may be silent."""
_ADDRESS = re.compile(r"([^/:]+/[^/:]+)/([^/:]+)(:[^/:]+)?")


def fetch_run_folder(address: str, root: Path) -> RunFolder:
    """Restore a run folder from its artifact; it is there whole or not at all.

    Args:
        address: ``ENTITY/PROJECT/RUN``, which is the latest version of what is called by this W&B run, or the name of
            an artifact, ``ENTITY/PROJECT/run_folder-RUN:v0``.
        root: The folder of all run folders, in which it gets the place that it had.

    Raises:
        OptionError: W&B can't be reached, lets nobody in, or has no such run folder.
        RunFolderError: It is there already, it can't be written, or the artifact is damaged or not to be trusted.
    """
    artifact = _find(address)
    place = artifact.metadata.get(TYPE)
    if artifact.type != TYPE or not _stays_below(place) or _is_hidden(place):
        raise OptionError(
            f"this artifact, of the type {artifact.type}, is no run folder",
            where=address,
            mend=f"name a run as ENTITY/PROJECT/RUN, or its artifact as ENTITY/PROJECT/{name_of('RUN')}:v0",
        )
    folder = RunFolder(root / place)
    if folder.path.exists():
        raise RunFolderError(
            "there is such a folder already",
            where=folder.path,
            mend="name another place for it with --root, or move this one away",
        )
    try:
        with _made_whole(folder.path) as unfinished, _limited_requests():
            _refuse_harmful(artifact)
            artifact.download(root=str(unfinished))
            artifact.verify(root=str(unfinished))
    except Exception as error:  # wandb has no class in common for what it raises here
        raise RunFolderError(
            f"the run folder can't be fetched: {first_line(error)}",
            where=address,
            mend="try again; if what is wrong stays, empty wandb's cache before: wandb artifact cache cleanup 0GB",
        ) from error
    return folder


def _find(address: str) -> wandb.Artifact:
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise OptionError(f"{address!r} names no run of W&B", where="the command line", mend="write ENTITY/PROJECT/RUN")
    project, name, version = parts.groups()
    is_run = version is None and not name.startswith(name_of(""))
    try:
        api = open_api(address, _PATIENCE)
        if is_run:
            api.run(address)
    except OptionError:
        raise
    except Exception as error:  # wandb has no class in common for what it raises here
        raise OptionError(
            f"W&B gives no such run: {first_line(error)}",
            where=address,
            mend="write ENTITY/PROJECT/RUN as on the run's page, and log in (wandb login) as somebody who may see it",
        ) from error
    try:
        found: wandb.Artifact = api.artifact(f"{project}/{name_of(name) if is_run else name}{version or ':latest'}")
    except Exception as error:
        mend = "log run folders with --trainer.logger.init_args.log_model true, or this one, where it is, with "
        mend += "'ee-lightning choose FOLDER ... --wandb'; upload what is kept offline with 'wandb sync'"
        raise OptionError(
            f"W&B has no run folder of this name: {first_line(error)}", where=address, mend=mend
        ) from error
    return found


def _refuse_harmful(artifact: wandb.Artifact) -> None:
    """Refuse files that lead elsewhere, that Python might import as a criterion's module, or that are hidden."""
    for entry in artifact.manifest.entries.values():
        if entry.ref is not None or not _stays_below(entry.path):
            raise ValueError(f"{entry.ref or entry.path} leads out of the run folder, which is refused")
        if is_code(entry.path):
            raise ValueError(f"{entry.path} is code, which is refused")
        if _is_hidden(entry.path):
            raise ValueError(f"{entry.path} is hidden, which is refused")


def _stays_below(name: Any) -> TypeGuard[str]:
    """Tell whether a name given by a stranger stays, on any system, in the folder that it is put in."""
    path = PureWindowsPath(name) if isinstance(name, str) else PureWindowsPath()  # which knows both kinds of slashes
    return bool(path.parts) and not path.anchor and ".." not in path.parts


def _is_hidden(name: str) -> bool:
    """Tell whether a file or a folder on the way to it is hidden, which a run folder logs none of."""
    return any(part.startswith(".") for part in PureWindowsPath(name).parts)


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to fill, which takes its name only when that is done, and is removed if it fails."""
    unfinished = unfinished_of(folder)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def _limited_requests() -> Iterator[None]:
    """Limit the requests by which wandb downloads files: it would wait for ever, and repeat them for 20 minutes."""
    send = HTTPAdapter.send

    def limited(self: HTTPAdapter, request: Any, stream: bool = False, timeout: Any = None, **options: Any) -> Any:
        self.max_retries = Retry(total=2, backoff_factor=1)
        return send(self, request, stream=stream, timeout=timeout or _PATIENCE, **options)

    HTTPAdapter.send = limited  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]
