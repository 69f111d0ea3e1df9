"""How a command ends, and what W&B records of it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import NoReturn

INTERRUPTED = 130
_KILLED = 255
"""What W&B itself reports for a run that is interrupted from the keyboard."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM, and came to a point where it can."""


def ended(status: int) -> int:
    """Return a command's exit status, and end the W&B runs that are open, if any, with it.

    W&B takes it from ``sys.exit``, which it replaces when a run begins, after ``sys.exit(main())`` has looked that up.
    """
    if {"wandb", "ee_lightning.tracking"} <= sys.modules.keys():
        try:
            import_module("ee_lightning.tracking.logger").end_runs(_KILLED if status == INTERRUPTED else status)
        except KeyboardInterrupt:  # nobody wants to wait for it
            return INTERRUPTED
    return status


def die_of_termination() -> NoReturn:
    """End this process by SIGTERM: an agent of a W&B sweep takes an exit status above 0 for a failure."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    raise AssertionError("SIGTERM is blocked")


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise a `KeyboardInterrupt` for SIGTERM and SIGHUP too."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    requests = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in requests}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def telling_interrupts() -> Iterator[None]:
    """Raise `KeyboardInterrupt` or `Terminated` in place of Lightning's exits, with status 1 or even 0."""
    from lightning.pytorch.utilities.exceptions import SIGTERMException  # which takes seconds to import

    try:
        yield
    except SIGTERMException as error:
        raise Terminated from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.default_int_handler)  # which handles another again
            raise KeyboardInterrupt from error
        raise
