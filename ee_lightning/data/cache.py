"""Data sets kept on disk under a key that says what went into them.

The folder is the environment variable `EE_LIGHTNING_CACHE`, else `~/.cache/ee_lightning`.
It may be deleted at any time.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datasets import Dataset, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from datasets.exceptions import DatasetGenerationError

from ee_lightning.errors import DataError
from ee_lightning.files import locked, with_home

DIGEST_FILE = "sha256"
ROWS_WORTH_A_PROGRESS_BAR = 100_000
log = logging.getLogger(__name__)


def cached(key: str, build: Callable[[], Dataset]) -> Dataset:
    """Take a data set from the cache, memory-mapped, or build it and keep it there.

    Equal keys must mean equal content. Several processes may ask at once: one builds, the others wait. An entry that is
    damaged is built again.

    Raises:
        DataError: The cache folder can't be used.
    """
    folder = cache_folder()
    entry = folder / key
    with blaming_cache(), locked(folder / f"{key}.lock", wait=True):
        if (kept := _load(entry)) is not None:
            return kept
        _save(build(), entry)
        return Dataset.load_from_disk(entry)


def only_entry(paths: Sequence[Path], columns: Sequence[str]) -> Path:
    """Return the cache folder of these columns of the files as they are now; delete those of older contents.

    All bytes are hashed, as times and sizes survive a change (`cp -p`, `rsync -t`); it takes no longer than to hash the
    rows that are read of them, without which no tokenised rows are found. The folder need not exist yet.

    Raises:
        OSError: A file can't be read.
        DataError: The cache folder can't be looked into.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(_sha256(path))
        digest.update(str(path.stat().st_mtime_ns).encode())  # which `datasets` makes another entry of
    asked_for = json.dumps([[str(path.resolve()) for path in paths], list(columns)])
    folder = cache_folder() / "parquet" / hashlib.sha256(asked_for.encode()).hexdigest()
    entry = folder / digest.hexdigest()
    with blaming_cache():
        for other in folder.iterdir() if folder.is_dir() else ():
            if other != entry:
                shutil.rmtree(other, ignore_errors=True)
    return entry


@contextmanager
def blaming_cache() -> Iterator[None]:
    """Raise a `DataError` that the cache can't be used where the system refuses something.

    What `datasets` fails to generate is blamed on the cache if the system gave the error its number: Arrow gives none
    to that of a damaged file.
    """
    try:
        yield
    except (OSError, DatasetGenerationError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if cause is not error and getattr(cause, "errno", None) is None:
            raise
        raise DataError(
            f"the cache can't be used: {cause}",
            where=cache_folder(),
            hint="set EE_LIGHTNING_CACHE to a folder that can be written to, on a disk with room",
        ) from error


def cache_folder() -> Path:
    """Return the folder of the cache, which need not exist yet."""
    return with_home(os.environ.get("EE_LIGHTNING_CACHE") or "~/.cache/ee_lightning")


@contextmanager
def quiet_progress(num_rows: int) -> Iterator[None]:
    """Hide the progress bars of `datasets` while it works on so few rows that nobody waits for them."""
    if num_rows >= ROWS_WORTH_A_PROGRESS_BAR or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _load(entry: Path) -> Dataset | None:
    if not entry.exists():
        return None
    try:
        if (entry / DIGEST_FILE).read_text() == _digest(entry):
            return Dataset.load_from_disk(entry)
    except (OSError, ValueError, KeyError, TypeError):
        log.debug("unreadable cache entry %s", entry, exc_info=True)
    log.warning("the cache entry %s is damaged and is built again", entry)
    return None


def _save(dataset: Dataset, entry: Path) -> None:
    unfinished = entry.with_name(f"{entry.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with quiet_progress(len(dataset)):
        dataset.save_to_disk(unfinished)
    (unfinished / DIGEST_FILE).write_text(_digest(unfinished))
    shutil.rmtree(entry, ignore_errors=True)
    unfinished.rename(entry)


def _digest(entry: Path) -> str:
    files = (path for path in sorted(entry.iterdir()) if path.name != DIGEST_FILE)
    return hashlib.sha256(b"".join(map(_sha256, files))).hexdigest()


def _sha256(path: Path) -> bytes:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()
