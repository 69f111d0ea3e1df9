"""Tells interrupts of a training from other ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities.exceptions import SIGTERMException

from ee_lightning.cli.ending import Terminated


@contextmanager
def telling_interrupts() -> Iterator[None]:
    """Raise as what they are the interrupts of which Lightning makes an exit, with status 1 or even 0.

    Raises:
        KeyboardInterrupt: Training was interrupted from the keyboard. From here on, another is heeded again.
        Terminated: Training was asked to end, by SIGTERM.
    """
    try:
        yield
    except SIGTERMException as error:
        raise Terminated from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from error
        raise
