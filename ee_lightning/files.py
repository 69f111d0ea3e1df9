"""Files of a run folder: written whole or not at all, and read with a message where they are damaged."""

import json
import os
import secrets
import stat
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from ee_lightning import __version__
from ee_lightning.errors import OptionError, RunFolderError, hint_for

UNFINISHED = ".unfinished"
"""How the names of files end whose writing was cut off."""

_UNREADABLE = (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)
_DEEPEST, _MOST_VALUES = 100, 1_000_000
_TOO_DEEP = "its values are nested too deeply"
_TOO_MANY = "its aliases stand for too many values"
_UNWRITABLE = (OSError, SafetensorError)
_OF_MODELS = {".json", ".safetensors", ".txt", ".model"}


def unfinished_of(file: Path) -> Path:
    """Return a new name for the hidden file beside a file that holds it while this process writes it.

    Part of the name is random: processes on other machines that share the folder may have the same number.
    """
    return file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}{UNFINISHED}")


def found_in(folder: Path, pattern: str) -> list[Path]:
    """Return what a folder holds under names that match a pattern, sorted; nothing where there is no such folder.

    Raises:
        OSError: The folder can't be read, which `Path.glob` passes over in silence.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.match(pattern))
    except (FileNotFoundError, NotADirectoryError):
        return []


def named_by_user(path: str) -> Path:
    """Return the file that a user named for output, or the one that it links to; the type of an option.

    Other links in the place of files that are written are replaced, as whoever made the folder may have set them.

    Raises:
        ArgumentTypeError: The path ends in no name, as `.` does.
    """
    if not Path(path).name:
        raise ArgumentTypeError(f"{path!r} names no file")
    return Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)


def with_home(path: str | Path) -> Path:
    """Return a path in which a leading `~` is replaced by the home folder.

    Args:
        path: What the user gave.

    Raises:
        OptionError: There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise OptionError(
            f"there is no home folder {Path(path).parts[0]}", where=path, hint="write the whole path"
        ) from error


def check_folder_readable(folder: str | Path) -> None:
    """Raise an error for a folder of a model that may not be read, which other libraries take for an empty one.

    Args:
        folder: The folder; what is none, as a name on the hub, is passed over.

    Raises:
        OSError: The folder, or a file of weights, of a configuration or of a vocabulary in it can't be opened.
    """
    if Path(folder).is_dir():
        for file in found_in(Path(folder), "*"):
            if file.suffix in _OF_MODELS and file.is_file():
                file.open("rb").close()


@contextmanager
def reading(file: Path, hint: str) -> Iterator[None]:
    """Blame the file for what goes wrong while it is read.

    Args:
        file: The file.
        hint: How to come by a sound one.

    Raises:
        RunFolderError: It can't be read, or what it holds makes no sense.
    """
    try:
        yield
    except _UNREADABLE as error:
        if isinstance(error, OSError):
            hint = hint_for(error, hint)
        raise RunFolderError(f"{file.name} can't be read: {_reason(error)}", where=file, hint=hint) from error


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Blame the file for what goes wrong while it is written.

    Args:
        file: The file.

    Raises:
        RunFolderError: It can't be written.
    """
    try:
        yield
    except _UNWRITABLE as error:
        hint = "make its folder writable, free space on the disk, or remove what has its name"
        raise RunFolderError(
            f"{file.name} can't be written: {_reason(error)}",
            where=file,
            hint=hint_for(error, hint) if isinstance(error, OSError) else hint,
        ) from error


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Return a file to write that takes the place of ``file`` only when it is complete and on the disk.

    A process that is killed in between leaves a hidden file whose name ends in ``.unfinished``, and what stood in its
    place before.

    Args:
        file: The file; its folder need not exist yet. A link of this name is replaced.

    Raises:
        RunFolderError: It can't be written.
        OptionError: It is a device or a pipe.
    """
    unfinished = unfinished_of(file)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(file)
        try:
            unfinished.touch()
            mode = unfinished.stat().st_mode
            yield unfinished
            unfinished.chmod(mode)  # safetensors lets nobody else read what it writes
            with unfinished.open("r+b") as written:
                os.fsync(written.fileno())
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def locked(file: Path, *, wait: bool = False) -> Iterator[int | None]:
    """Lock a file for this process; the lock vanishes with it, however it ends.

    Processes that this one forks don't hold the lock; one that it starts does if it gets the descriptor.

    Args:
        file: The file to lock; it and its folder need not exist yet, and the file stays.
        wait: Whether to wait until another process has unlocked it.

    Yields:
        The descriptor of the locked file; None where another process holds the lock.

    Raises:
        OSError: It can't be locked here.
    """
    held: list[int] = []
    lock = FileLock(file, on_acquired=held.append)
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(Timeout):
        lock.acquire(blocking=wait)
    try:
        yield held[0] if held else None
    finally:
        lock.release()


def check_replaceable(file: Path) -> None:
    """Raise an error for a device or a pipe, such as `/dev/null`, which a written file would take the place of.

    Args:
        file: The file that is to be written; it need not exist.

    Raises:
        OptionError: It is one.
        OSError: It can't be looked at.
    """
    with suppress(FileNotFoundError):
        mode = file.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise OptionError("this is a device or a pipe, and no file", where=file, hint="name a file")


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        file: The file.

    Raises:
        ValueError: It holds no JSON, none of an object, or one that is nested too deeply.
        OSError: It can't be opened.
    """
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if not isinstance(fields, dict):
        raise ValueError("it holds no JSON object")
    _check_size(fields)
    return fields


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML mapping, such as a run folder's ``config.yaml``.

    Args:
        file: The file.

    Raises:
        ValueError: It holds no YAML, none of a mapping, or stands for more than it is sensible to hold.
        OSError: It can't be opened.
    """
    try:
        options = yaml.load(file.read_text(encoding="utf-8"), _BoundedLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("it holds no YAML" + ("" if mark is None else f", from line {mark.line + 1} on")) from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if not isinstance(options, dict):
        raise ValueError("it holds no options")
    _check_size(options)
    return options


def check_format(fields: dict[str, Any], known: int, file: Path, hint: str) -> None:
    """Raise an error for a file whose format another release writes, and take the format from its fields.

    Args:
        fields: What it holds, ``format`` and the ``version`` that wrote it among them.
        known: The format of this release.
        file: The file.
        hint: How to come by one of this release.

    Raises:
        RunFolderError: It has another format.
        KeyError: It has none.
    """
    if (found := fields.pop("format")) != known:
        raise RunFolderError(
            f"{file.name} has format {found}, written by ee_lightning {fields.get('version')}, "
            f"and ee_lightning {__version__} reads format {known}",
            where=file,
            hint=f"install the release that wrote it, or {hint}",
        )


class _BoundedLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml ships no types
    """Loads plain values; a few merges of merges must not make billions of them."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_VALUES:
            raise ValueError(_TOO_MANY)


def _check_size(values: object) -> None:
    """Raise a `ValueError` where values are nested too deeply, or too many: a few aliases can stand for billions."""
    left, seen = [(values, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if depth > _DEEPEST:
            raise ValueError(_TOO_DEEP)
        if seen > _MOST_VALUES:
            raise ValueError(_TOO_MANY)
        if isinstance(value, dict | list):
            left.extend((child, depth + 1) for child in (value.values() if isinstance(value, dict) else value))


def _reason(error: Exception) -> str:
    if isinstance(error, OptionError):
        return error.what
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
