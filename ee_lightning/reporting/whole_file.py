"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file to write that takes the place of ``path`` only when it is complete and on the disk.

    A process that is killed in between leaves a hidden file whose name ends in ``.unfinished``, and what stood at
    ``path`` before.

    Args:
        path: The file; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        yield unfinished
        with unfinished.open("r+b") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
