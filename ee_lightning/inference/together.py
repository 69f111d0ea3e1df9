"""Folders whose files take their places together; importing it loads no torch."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from safetensors import SafetensorError

from ee_lightning.errors import RunFolderError, hint_for
from ee_lightning.files import UNFINISHED

_READY = ".early_exit.ready"
_PREFIX = ".early_exit."


@contextmanager
def written_together(folder: Path) -> Iterator[Path]:
    """Return an empty folder to write, whose files take their places in another only when all are on the disk.

    What is written becomes valid by one rename of the folder that holds it, to a hidden name within ``folder``; from
    there each file is linked to its place. `current` gives the hidden folder until that is done, and the next
    `written_together` does what a killed process left undone. Other files of ``folder`` stay; it need not exist yet.

    Raises:
        RunFolderError: It can't be written; what it held stays valid.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _READY).exists():
            _settle(folder)
        for leftover in folder.glob(f"{_PREFIX}*{UNFINISHED}"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        staging = _unfinished(folder)
        try:
            staging.mkdir()
            yield staging
            for file in staging.iterdir():
                file.chmod(staging.stat().st_mode & 0o666)  # safetensors lets nobody else read what it writes
                _synchronise(file)
            staging.rename(folder / _READY)
            _synchronise(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _settle(folder)
    except (OSError, SafetensorError) as error:
        hint = "make it writable, free space on its disk, which has to hold both the new model and the old one"
        hint = f"{hint}, or name another folder"
        raise RunFolderError(
            f"the folder can't be written: {getattr(error, 'strerror', None) or error}",
            where=folder,
            hint=hint_for(error, hint) if isinstance(error, OSError) else hint,
        ) from error


def current(folder: Path) -> Path:
    """Return the folder that holds the valid files: itself, or what `written_together` has not yet put in place."""
    ready = folder / _READY
    return ready if ready.is_dir() else folder


def _settle(folder: Path) -> None:
    ready = folder / _READY
    for file in ready.iterdir():
        beside = _unfinished(folder)
        try:
            beside.hardlink_to(file)
        except OSError:  # a file system without links
            shutil.copy2(file, beside)
        beside.replace(folder / file.name)
    done = ready.rename(_unfinished(folder))
    shutil.rmtree(done, ignore_errors=True)


def _unfinished(folder: Path) -> Path:
    return folder / f"{_PREFIX}{token_hex(8)}{UNFINISHED}"


def _synchronise(path: Path) -> None:
    """Have what a file or a folder holds on the disk; not all systems can for a folder."""
    with suppress(PermissionError, IsADirectoryError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
