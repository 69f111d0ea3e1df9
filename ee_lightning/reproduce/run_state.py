"""The condition of a run's folder: its lock, its digests, and whether it is finished or can go on."""

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Curve, Fixed, Oracle
from ee_lightning.files import locked, read_json, read_yaml, reading, written_whole
from ee_lightning.runs.folder import CURVES, SUMMARY, RunFolder
from ee_lightning.typed import typed

_LOCKS = "locks"


def lock_of(root: Path, name: str) -> Path:
    """Return the file that is locked while a run is trained: one for all names that runs of a digest may have."""
    return root / _LOCKS / f"{name.rpartition('-')[2]}.lock"


def is_locked(file: Path) -> bool:
    """Return whether a process has locked a run; nothing is written.

    Raises:
        RunFolderError: It can't be found out here.
    """
    if not file.exists():
        return False
    with attempted_lock(file) as lock:
        return lock is None


@contextmanager
def attempted_lock(file: Path) -> Iterator[int | None]:
    """Lock a run, if nobody else has.

    Args:
        file: The file to lock, which stays.

    Yields:
        The descriptor of the locked file; None where another process has locked it.

    Raises:
        RunFolderError: It can't be locked here.
    """
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(locked(file))
        except OSError as error:
            raise RunFolderError(
                f"no run can be locked: {error.strerror}", where=file, hint="make the folder writable, or name another"
            ) from error
        yield lock


DIGESTS = "digests.json"


def write_digests(folder: RunFolder) -> None:
    """Note the digests of a finished run's exits, curves, summary and configuration, beside its folder.

    Raises:
        RunFolderError: They can't be read, or the note can't be written.
    """
    with written_whole(_note_of(folder)) as note:
        note.write_text(json.dumps(_digests(folder), indent=2) + "\n", encoding="utf-8")


def has_digests(folder: RunFolder) -> bool:
    """Return whether the digests of a run were noted."""
    return _note_of(folder).is_file()


def forget_digests(folder: RunFolder) -> None:
    """Take away what was noted of a run that is to be trained again.

    Raises:
        OSError: It can't be removed.
    """
    _note_of(folder).unlink(missing_ok=True)


def check_digests(folder: RunFolder, hint: str) -> None:
    """Raise an error if the files of a finished run are not as they were noted; without a readable note, pass.

    Args:
        folder: The folder.
        hint: What happens to it, or what to do.

    Raises:
        RunFolderError: A file is missing or another.
    """
    try:
        noted = typed(dict[str, str], read_json(_note_of(folder)))
    except (OSError, ValueError):
        return
    now = _digests(folder)
    for name, digest in noted.items():
        if now.get(name) != digest:
            raise RunFolderError(
                f"{name} is not as it was when the run was finished", where=folder.path / name, hint=hint
            )


def _note_of(folder: RunFolder) -> Path:
    return folder.path.parent / DIGESTS


def _digests(folder: RunFolder) -> dict[str, str]:
    files = [*sorted((folder.path / "exits").glob("*")), folder.path / CURVES, folder.path / SUMMARY, folder.config]
    return {file.relative_to(folder.path).as_posix(): _digest(file) for file in files if file.is_file()}


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise RunFolderError(
            f"{file.name} can't be read: {error.strerror}", where=file, hint="look to its disk"
        ) from error


SET_ASIDE = "set_aside"
_HINT = "it is set aside and run again by ee-lightning reproduce"


class State(StrEnum):
    """What is to be done about a training."""

    FINISHED = "finished"
    TO_RESUME = "to resume"
    TO_DO = "to do"
    AT_WORK = "at work elsewhere"
    BLOCKED = "can't be run"


def examine(folder: RunFolder) -> tuple[State, str | None]:
    """Tell the condition of a run's folder, which is only read.

    Args:
        folder: The folder; it need not be there.

    Returns:
        The state, and what is damaged there, if something is: then it is to do.
    """
    try:
        if folder.is_finished:
            _check_results(folder)
            return State.FINISHED, None
        if folder.checkpoints.is_dir():
            _check_resumable(folder)
            return State.TO_RESUME, None
    except RunFolderError as error:
        return State.TO_DO, error.what
    return State.TO_DO, None


def make_room(folder: RunFolder, root: Path) -> Path | None:
    """Leave no folder where a run is to start anew: what a start left is deleted, anything else is set aside.

    Args:
        folder: The folder of the run.
        root: Of the suite, below which things are set aside.

    Returns:
        Where it now lies, if it was set aside.

    Raises:
        RunFolderError: It can't be moved.
    """
    if not folder.path.exists():
        return None
    _, damage = examine(folder)
    folder.clear_unfinished()
    folder.remove_unused()
    if not folder.path.exists():
        return None
    name = folder.path.parent.name
    places = (root / SET_ASIDE / f"{name}.{number}" for number in count(1))
    place = next(place for place in places if not place.exists())
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder.path, place)
        (place / "why.txt").write_text(f"{damage or 'it has no checkpoints to go on from'}\n", encoding="utf-8")
    except OSError as error:
        raise RunFolderError(
            f"the damaged run folder can't be set aside: {error.strerror}", where=folder.path, hint="move it yourself"
        ) from error
    return place


def _check_results(folder: RunFolder) -> None:
    summary, curves, options = folder.read_summary(), folder.read_curves(), _options(folder)
    for split, figures in summary.items():
        folder.read_exits(split)
        _check_curves(folder, figures, curves.get(split, []))
    if folder.read_calibration() is None and options.data.calibration:
        raise RunFolderError("the exits of the rows held out are not there", where=folder.path, hint=_HINT)
    if options.run.test and "test" not in summary:
        raise RunFolderError("the test split was not swept", where=folder.path, hint=_HINT)
    check_digests(folder, _HINT)


def _check_curves(folder: RunFolder, figures: Mapping[str, Any], curves: Sequence[Curve]) -> None:
    """Raise an error for curves that are not those of a summary's criteria, or end before the last point."""
    names = {*figures["criteria"], Fixed.name, *([] if figures["oracle"] is None else [Oracle.name])}
    by_name = {curve.criterion: curve for curve in curves}
    if by_name.keys() != names or by_name[Fixed.name].mean_exit[-1] != 1:  # the fixed exits are written last
        raise RunFolderError("curves.csv is cut off", where=folder.path / CURVES, hint=_HINT)


def _check_resumable(folder: RunFolder) -> None:
    if folder.config.exists() or folder.last_checkpoint.exists():
        _options(folder)
    if folder.last_checkpoint.exists() and not _is_whole(folder.last_checkpoint):
        raise RunFolderError("last.ckpt is damaged, or no checkpoint", where=folder.last_checkpoint, hint=_HINT)


def _is_whole(archive: Path) -> bool:
    try:
        with ZipFile(archive) as opened:
            return opened.testzip() is None
    except (BadZipFile, OSError, zlib.error):
        return False


@dataclass(frozen=True)
class _DataOptions:
    calibration: int = 0


@dataclass(frozen=True)
class _RunOptions:
    test: bool = False


@dataclass(frozen=True)
class _Options:
    """What of a ``config.yaml`` says which results a run must have."""

    data: _DataOptions = field(default_factory=_DataOptions)
    run: _RunOptions = field(default_factory=_RunOptions)


def _options(folder: RunFolder) -> _Options:
    with reading(folder.config, hint=_HINT):
        return typed(_Options, read_yaml(folder.config), others=True)
