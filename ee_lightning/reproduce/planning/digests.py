"""Digests of what a finished run left, by which damage is told that its files still read through."""

import hashlib
import json
from pathlib import Path

from ee_lightning.errors import RunFolderError
from ee_lightning.files import read_json, written_whole
from ee_lightning.reporting import RunFolder
from ee_lightning.reporting.run_folder import CURVES, SUMMARY
from ee_lightning.typed import typed

DIGESTS = "digests.json"


def write_digests(folder: RunFolder) -> None:
    """Note the digests of a finished run's exits, curves, summary and configuration, beside its folder.

    Raises:
        RunFolderError: They can't be read, or the note can't be written.
    """
    with written_whole(_note_of(folder)) as note:
        note.write_text(json.dumps(_digests(folder), indent=2) + "\n", encoding="utf-8")


def has_digests(folder: RunFolder) -> bool:
    """Tell whether the digests of a run were noted."""
    return _note_of(folder).is_file()


def forget_digests(folder: RunFolder) -> None:
    """Take away what was noted of a run that is to be trained again.

    Raises:
        OSError: It can't be removed.
    """
    _note_of(folder).unlink(missing_ok=True)


def check_digests(folder: RunFolder, mend: str) -> None:
    """Refuse a finished run whose files are not as they were noted; without a readable note there is nothing to refuse.

    Args:
        folder: The folder.
        mend: What happens to it, or what to do.

    Raises:
        RunFolderError: A file is missing or another.
    """
    try:
        noted = typed(dict[str, str], read_json(_note_of(folder)))
    except (OSError, ValueError):
        return
    now = _digests(folder)
    for name, digest in noted.items():
        if now.get(name) != digest:
            raise RunFolderError(
                f"{name} is not as it was when the run was finished", where=folder.path / name, mend=mend
            )


def _note_of(folder: RunFolder) -> Path:
    return folder.path.parent / DIGESTS


def _digests(folder: RunFolder) -> dict[str, str]:
    files = [*sorted((folder.path / "exits").glob("*")), folder.path / CURVES, folder.path / SUMMARY, folder.config]
    return {file.relative_to(folder.path).as_posix(): _digest(file) for file in files if file.is_file()}


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise RunFolderError(
            f"{file.name} can't be read: {error.strerror}", where=file, mend="look to its disk"
        ) from error
