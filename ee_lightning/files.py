"""Files that are written whole or not at all, and read with a message where they are damaged or hold other types."""

import json
import math
import os
import secrets
import stat
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from sys import modules
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError

from ee_lightning import __version__
from ee_lightning.errors import EarlyExitError, OptionError, RunFolderError, did_you_mean, first_line, hint_for

UNFINISHED = ".unfinished"
"""How the names of files end whose writing was cut off."""

_UNREADABLE = (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)
_DEEPEST, _MOST_VALUES = 100, 1_000_000
_TOO_DEEP = "its values are nested too deeply"
_TOO_MANY = "its aliases stand for too many values"
_OF_MODELS = {".json", ".safetensors", ".txt", ".model"}
_LONGEST_SHOWN = 60
_PLAIN = {
    "missing": "is missing",
    "missing_argument": "is missing",
    "extra_forbidden": "is not known",
    "unexpected_keyword_argument": "is not known",
}

_Made = TypeVar("_Made")


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

    Other links in the place of files that are written are replaced, as somebody else may have made the folder.

    Raises:
        ArgumentTypeError: The path ends in no name, as `.` does.
    """
    if not Path(path).name:
        raise ArgumentTypeError(f"{path!r} names no file")
    return Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)


def with_home(path: str | Path) -> Path:
    """Return a path with the home folder for a leading `~`; raise an `OptionError` where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        what = f"there is no home folder {Path(path).parts[0]}"
        raise OptionError(what, where=path, hint="write the whole path") from error


def check_folder_readable(folder: str | Path) -> None:
    """Raise an `OSError` for a folder of a model that may not be read, which other libraries take for an empty one.

    Its weights, configurations and vocabularies are opened; what is no folder, as a name on the hub, is passed over.
    """
    if Path(folder).is_dir():
        for file in found_in(Path(folder), "*"):
            if file.suffix in _OF_MODELS and file.is_file():
                file.open("rb").close()


@contextmanager
def reading(file: Path, hint: str) -> Iterator[None]:
    """Raise a `RunFolderError` that blames the file for what goes wrong while it is read, and says how to fix it."""
    try:
        yield
    except _UNREADABLE as error:
        raise _blamed(file, "read", error, hint) from error


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Raise a `RunFolderError` that blames the file for what goes wrong while it is written."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        hint = "make its folder writable, free space on the disk, or remove what has its name"
        raise _blamed(file, "written", error, hint) from error


def _blamed(file: Path, done: str, error: Exception, hint: str) -> RunFolderError:
    reason = str(error)
    if isinstance(error, OptionError):
        reason, hint = error.what, (error.hint or hint) if isinstance(error, NotImported) else hint
    elif isinstance(error, OSError):
        reason, hint = error.strerror or reason, hint_for(error, hint)
    elif isinstance(error, KeyError):
        reason = f"it lacks {error}"
    return RunFolderError(f"{file.name} can't be {done}: {reason}", where=file, hint=hint)


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Return a file to write that takes the place of ``file`` only when it is complete and on the disk.

    A process that is killed in between leaves a hidden file whose name ends in ``.unfinished``, and what stood in its
    place before. The folder is made where it is missing, and a link of this name is replaced.

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
    """Lock a file for this process, and return its descriptor; None where another process holds the lock.

    The lock vanishes with the process, however it ends. Processes that this one forks don't hold it; one that it starts
    does if it gets the descriptor. The file is made where it is missing, and stays.

    Args:
        file: The file to lock.
        wait: Whether to wait until another process has unlocked it.
    """
    from filelock import FileLock, Timeout  # six megabytes, which prediction does without

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
    """Raise an `OptionError` for a device or a pipe, such as `/dev/null`, whose place a written file would take."""
    with suppress(FileNotFoundError):
        mode = file.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise OptionError("this is a device or a pipe, and no file", where=file, hint="name a file")


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: The file holds no JSON, none of an object, or one that is nested too deeply.
        OSError: It can't be opened.
    """
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if not isinstance(fields, dict):
        raise ValueError("it holds no JSON object")
    _check_size(fields, most=math.inf)  # it has no aliases
    return fields


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML mapping, such as a run folder's ``config.yaml``.

    Raises:
        ValueError: The file holds no YAML, none of a mapping, or stands for more than it is sensible to hold.
        OSError: It can't be opened.
    """
    import yaml  # which exported models do without

    try:
        options = yaml.load(file.read_text(encoding="utf-8"), _bounded_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("it holds no YAML" + ("" if mark is None else f", from line {mark.line + 1} on")) from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if not isinstance(options, dict):
        raise ValueError("it holds no options")
    _check_size(options, most=_MOST_VALUES)
    return options


def check_format(fields: dict[str, Any], known: int, file: Path, hint: str) -> None:
    """Take ``format`` from the fields of a file; raise a `RunFolderError` if it is not the one that is known.

    The hint says how to come by a file of this release. A file without a format is a `KeyError`.
    """
    if (found := fields.pop("format")) != known:
        raise RunFolderError(
            f"{file.name} has format {found}, written by ee_lightning {fields.get('version')}, "
            f"and ee_lightning {__version__} reads format {known}",
            where=file,
            hint=f"install the release that wrote it, or {hint}",
        )


@cache
def _bounded_loader() -> Any:
    import yaml

    class BoundedLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml ships no types
        """Loads plain values; a few merges of merges must not make billions of them."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MOST_VALUES:
                raise ValueError(_TOO_MANY)

    return BoundedLoader


def _check_size(values: object, most: float) -> None:
    """Raise a `ValueError` where values are nested too deeply, or too many: a few aliases can stand for billions."""
    left, seen = [(values, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if depth > _DEEPEST:
            raise ValueError(_TOO_DEEP)
        if seen > most:
            raise ValueError(_TOO_MANY)
        if isinstance(value, dict | list):
            left.extend((child, depth + 1) for child in (value.values() if isinstance(value, dict) else value))


def typed(kind: type[_Made], values: object, *, at: str = "", others: bool = False) -> _Made:
    """Return values as an object of a type; nothing is converted, but that a whole number is a floating-point one too.

    Args:
        kind: Any type that pydantic knows, such as a dataclass or ``dict[str, float]``.
        values: What JSON can hold; anything else is taken for the text that it is written as.
        at: The dotted path of the values, for the error.
        others: Whether fields that a dataclass lacks are passed over.

    Raises:
        OptionError: A field is missing, not known or of another type, or the object refuses it.

    Example:
        >>> typed(dict[str, float | None], {"area": 1, "score": None})
        {'area': 1.0, 'score': None}
    """
    try:
        written = json.dumps(values, default=str)
        adapter: TypeAdapter[_Made] = _adapter(kind)  # type: ignore[arg-type]  # types are hashable
        return adapter.validate_json(written, strict=True, extra="ignore" if others else "forbid")
    except ValidationError as error:
        field, what = _first_mistake(error, at)
        if isinstance(cause := error.errors(include_url=False)[0].get("ctx", {}).get("error"), NotImported):
            raise cause from error
        raise OptionError(what, where=field or None) from error
    except (TypeError, RecursionError) as error:
        raise OptionError("it holds what JSON can't hold") from error


def class_at(class_path: str, parent: type, what: str, such_as: str) -> type[Any]:
    """Import a subclass of a parent by its full name, or raise an `OptionError` that says why there is none."""
    module, _, name = class_path.rpartition(".")
    there = dict[str, Any]()
    try:
        there = vars(import_module(module))
        found, why = there[name], f"{name} is no subclass of {parent.__module__.rpartition('.')[0]}.{parent.__name__}"
    except KeyError:
        found, why = None, f"{module} has no {name}"
    except Exception as error:  # whatever the user's module raises
        found, why = None, first_line(error)
    if isinstance(found, type) and issubclass(found, parent):
        return found
    hint = "" if name in there else did_you_mean(name, there)
    hint += f"give the full name of a class, such as {such_as}, in a module that lies in the "
    hint += "working folder or on PYTHONPATH"
    raise OptionError(f"there is no {what} {class_path}: {why}", where=f"class_path {class_path}", hint=hint)


class NotImported(OptionError):
    """A file names a class of a module that this program has not imported."""


def check_imported(class_path: str, what: str) -> str:
    """Return the full name of a class from a file, which must not make this program import anything."""
    module, _, name = class_path.rpartition(".")
    if module in modules and name not in vars(modules[module]):
        raise OptionError(f"there is no {what} {class_path}", where="class_path")
    if module not in modules:
        raise NotImported(
            f"the {what} {class_path} is not one of ours, and reading a file imports nothing",
            where="class_path",
            hint=f"import {module} beforehand, or on the command line name it with --{what} {class_path}",
        )
    return class_path


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _first_mistake(error: ValidationError, at: str) -> tuple[str, str]:
    """Return the path of the first field that is wrong, and what is wrong with it."""
    first = error.errors(include_url=False)[0]
    field = ".".join([*([at] if at else []), *map(str, first["loc"])])
    if first["type"] in _PLAIN:
        return field, f"{field} {_PLAIN[first['type']]}"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, Exception):
        return field, cause.what if isinstance(cause, EarlyExitError) else str(cause)
    found = repr(first["input"])
    found = f"{found[:_LONGEST_SHOWN]}…" if len(found) > _LONGEST_SHOWN else found
    return field, f"{field or 'it'} is {found}, and {first['msg'].replace('Input', 'it', 1)}"
