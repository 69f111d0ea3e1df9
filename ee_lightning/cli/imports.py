"""Imports that take seconds, in a process that is the command line's own."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Import without garbage collections, and spare later ones, the last at exit among them, what was imported.

    Each would look at a million objects and find next to nothing to free, which takes a quarter of a short command.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def imported_later() -> Iterator[None]:
    """Import what a command needs after all as `without_collections`, if that is how its process began."""
    if gc.get_freeze_count():
        with without_collections():
            yield
    else:
        yield
