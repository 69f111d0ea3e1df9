"""Run folders as artifacts of Weights & Biases: logged, and fetched again."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import all_suffixes
from pathlib import Path, PureWindowsPath
from tempfile import mkdtemp
from typing import Any, TypeGuard

import wandb
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ee_lightning.errors import OptionError, RunFolderError, first_line
from ee_lightning.files import read_yaml, reading, typed, unfinished_of
from ee_lightning.runs.folder import RunFolder
from ee_lightning.tracking.start import notice, open_api, read_record, write_record

TYPE = "run_folder"  # of these artifacts, whose names are this and the id of a W&B run


def is_code(name: str) -> bool:
    """Return whether a file, by its name, is a module that Python can import."""
    return name.lower().endswith(tuple(all_suffixes()))


def log_run_folder(run: wandb.Run, folder: RunFolder) -> wandb.Artifact:
    """Log a run folder: the checkpoint whose exits were swept, and all else that is neither hidden nor code.

    The first W&B run that logs it names the artifact; what is logged later is another version of that. Copies and links
    in the W&B run's folder are uploaded, so that the run folder may change, and ``wandb sync`` finds all of it.
    """
    if not read_record(folder):
        write_record(folder, run)
    artifact = wandb.Artifact(f"{TYPE}-{read_record(folder)['run']}", type=TYPE, metadata={TYPE: _place(folder)})
    kept = Path(mkdtemp(prefix=f"{TYPE}-", dir=run.settings.sync_dir)).absolute()
    for name in _logged_files(folder):
        file, copy = folder.path / name, kept / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # on another disk, or one without links
            if file.is_relative_to(folder.checkpoints):  # whose files are replaced, not changed
                os.link(file, copy)
        if not copy.exists():
            shutil.copyfile(file, copy)
        artifact.add_file(str(kept / name), name=name.as_posix(), policy="immutable", skip_cache=True)
    return run.log_artifact(artifact)


def await_uploads(run: wandb.Run, artifacts: Sequence[wandb.Artifact], seconds: float) -> None:
    """Wait for a run's uploads, so many seconds an artifact, remove copies and links, and report what failed."""
    if run.offline or run.disabled:
        return
    for artifact in artifacts:
        try:
            artifact.wait(timeout=round(seconds))
        except Exception as error:  # wandb has no class in common for what it raises here
            again = "Log it again: ee-lightning choose RUN_FOLDER ... --wandb"  # `wandb sync` would leave it out
            notice(f"the run folder is not there as an artifact, because of {type(error).__name__}: {error}. {again}")
    for kept in Path(run.settings.sync_dir).glob(f"{TYPE}-*"):
        shutil.rmtree(kept, ignore_errors=True)


def _place(folder: RunFolder) -> str:
    """Return where below ``--run.root`` a run folder is."""
    path = folder.path.resolve()
    name = path.parent.name
    if folder.config.is_file():
        with reading(folder.config, hint="bring it back as fit wrote it"):
            name = typed(str, read_yaml(folder.config)["run"]["name"], at="run.name")
    return f"{name}/{path.name}"


def _logged_files(folder: RunFolder) -> Iterator[Path]:
    swept = [checkpoint.resolve() for checkpoint in folder.swept_checkpoints()]
    for file in sorted(file for file in folder.path.rglob("*") if file.is_file()):
        name = file.relative_to(folder.path)
        is_swept = any(file.resolve().is_relative_to(checkpoint) for checkpoint in swept)
        if is_swept or not (_is_hidden(str(name)) or is_code(file.name) or file.is_relative_to(folder.checkpoints)):
            yield name


_PATIENCE = 20  # seconds that W&B may be silent
_ADDRESS = re.compile(r"([^/:]+/[^/:]+)/([^/:]+)(:[^/:]+)?")


def fetch_run_folder(address: str, root: Path) -> RunFolder:
    """Restore a run folder from its artifact, whole or not at all, in its place below the folder of all run folders.

    Args:
        address: ``ENTITY/PROJECT/RUN``, whose latest version is fetched, or ``ENTITY/PROJECT/run_folder-RUN:v0``.
        root: The folder of all run folders.

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
            hint=f"name a run as ENTITY/PROJECT/RUN, or its artifact as ENTITY/PROJECT/{TYPE}-RUN:v0",
        )
    folder = RunFolder(root / place)
    if folder.path.exists():
        hint = "name another place for it with --root, or move this one away"
        raise RunFolderError("there is such a folder already", where=folder.path, hint=hint)
    try:
        with _made_whole(folder.path) as unfinished, _limited_requests():
            _refuse_harmful(artifact)
            artifact.download(root=str(unfinished))
            artifact.verify(root=str(unfinished))
    except Exception as error:  # wandb has no class in common for what it raises here
        raise RunFolderError(
            f"the run folder can't be fetched: {first_line(error)}",
            where=address,
            hint="try again; if what is wrong stays, empty wandb's cache before: wandb artifact cache cleanup 0GB",
        ) from error
    return folder


def _find(address: str) -> wandb.Artifact:
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise OptionError(f"{address!r} names no run of W&B", where="the command line", hint="write ENTITY/PROJECT/RUN")
    project, name, version = parts.groups()
    is_run = version is None and not name.startswith(f"{TYPE}-")
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
            hint="write ENTITY/PROJECT/RUN as on the run's page, and log in (wandb login) as somebody who may see it",
        ) from error
    try:
        found: wandb.Artifact = api.artifact(f"{project}/{f'{TYPE}-' if is_run else ''}{name}{version or ':latest'}")
    except Exception as error:
        hint = "log run folders with --trainer.logger.init_args.log_model true, or this one, where it is, with "
        hint += "'ee-lightning choose FOLDER ... --wandb'; upload what is kept offline with 'wandb sync'"
        raise OptionError(
            f"W&B has no run folder of this name: {first_line(error)}", where=address, hint=hint
        ) from error
    return found


def _refuse_harmful(artifact: wandb.Artifact) -> None:
    """Raise an error for files that lead elsewhere, that are hidden, or that Python might import as a module."""
    for entry in artifact.manifest.entries.values():
        if entry.ref is not None or not _stays_below(entry.path):
            raise ValueError(f"{entry.ref or entry.path} leads out of the run folder, which is not allowed")
        if is_code(entry.path):
            raise ValueError(f"{entry.path} is code, which is not allowed")
        if _is_hidden(entry.path):
            raise ValueError(f"{entry.path} is hidden, which is not allowed")


def _stays_below(name: Any) -> TypeGuard[str]:
    """Return whether a name from outside stays, on any system, in the folder that it is put in."""
    path = PureWindowsPath(name if isinstance(name, str) else "")  # which knows both kinds of slashes
    return bool(path.parts) and not path.anchor and ".." not in path.parts


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PureWindowsPath(name).parts)


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """Return a hidden folder to fill, which takes its name only when that is done, and is removed if it fails."""
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
