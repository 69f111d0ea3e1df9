"""The terminal, or what takes its place: an ASCII one, a pipe whose reader is gone, a full disk, nothing at all."""

import codecs
import errno
import io
import locale
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from typing_extensions import override

from ee_lightning.errors import EarlyExitError, shown
from ee_lightning.terminal import wrapped

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PLAIN = dict(zip("×−±≥≤→…–·", ("x", "-", "+-", ">=", "<=", "->", "...", "-", "*"), strict=True))
_LONGEST_WARNING = 1500


def prepare_streams() -> None:
    """Make standard output and standard error take whatever is written to them.

    Characters that their encoding lacks are replaced. What can't be written is dropped, so that the work goes on:
    `check_output` raises at its end. Where a stream is closed, the null device takes its place, and its number with it,
    which the next file that is opened would have otherwise. Files are UTF-8, whatever the terminal is, also those that
    libraries open without saying so.
    """
    with suppress(locale.Error):  # where the system has no such locale
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
    codecs.register_error("plain", _in_plain_characters)
    sys.stdout, sys.stderr = _prepared(sys.stdout, sys.__stdout__), _prepared(sys.stderr, sys.__stderr__)
    logger = logging.getLogger("ee_lightning")
    if not logger.handlers:
        logger.addHandler(_Warnings(logging.WARNING))


def check_output() -> None:
    """Raise an `EarlyExitError` where standard output could not be written, but not for a reader that stopped."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    lost = raw.lost if isinstance(raw, _Lasting) else None
    if lost is not None and lost.errno != errno.EPIPE:
        raise EarlyExitError(
            f"standard output can't be written: {lost.strerror}",
            where="standard output; the files that the command writes are complete",
            hint="send the output to another place, or free space there",
        )


def lasting(stream: TextIO) -> TextIO:
    """Return a stream to replace another one, which drops what can't be written and never fails."""
    with suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="plain",
        line_buffering=getattr(stream, "line_buffering", True) or getattr(stream, "write_through", False),
    )


class _Lasting(io.FileIO):
    """A file that drops what can't be written."""

    lost: OSError | None = None
    """The first error."""

    @override
    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.lost = self.lost or error
            return memoryview(data).nbytes


class _Warnings(logging.Handler):
    """Prints the warnings of this package, which may quote anything."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        said = shown(f"warning: {record.getMessage()}", _LONGEST_WARNING, lines=True)
        print(wrapped(said, sys.stderr), file=sys.stderr)


def _prepared(stream: TextIO | None, original: TextIO | None) -> TextIO:
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8", errors="plain")
    if stream is original and isinstance(stream, io.TextIOWrapper):
        return lasting(stream)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="plain")
    return stream


def _in_plain_characters(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each) or each.encode("unicode_escape").decode() for each in lacking), error.end
