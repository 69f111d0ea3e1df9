"""Ends in an orderly way when it is asked to."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_REQUESTS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def interruptible() -> Iterator[None]:
    """Take a request to end, and the end of the terminal, as an interrupt from the keyboard.

    Raises:
        KeyboardInterrupt: There was one.
    """

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _REQUESTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
