"""How a command ends, and what W&B is told of it."""

import signal
import sys
from importlib import import_module
from typing import NoReturn

INTERRUPTED = 130
_KILLED = 255
"""What W&B itself reports for a run that is interrupted from the keyboard."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM, and came to a point where it can."""


def ended(status: int) -> int:
    """End the W&B runs that are open, if any, as the command ended, and give its exit status.

    W&B takes that from ``sys.exit``, which it replaces when a run begins; but ``sys.exit(main())`` has looked that up
    before.

    Args:
        status: The exit status.
    """
    if {"wandb", "ee_lightning.tracking"} <= sys.modules.keys():
        try:
            import_module("ee_lightning.tracking.ending").end_runs(_KILLED if status == INTERRUPTED else status)
        except KeyboardInterrupt:  # nobody wants to wait for it
            return INTERRUPTED
    return status


def die_of_termination() -> NoReturn:
    """End this process as SIGTERM does that nobody handles, which no exit status tells as well.

    An agent of a W&B sweep, for one, takes any status above 0 for a failure, also that of a run that it ended itself,
    and goes home after a few.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    raise AssertionError("SIGTERM is blocked")
