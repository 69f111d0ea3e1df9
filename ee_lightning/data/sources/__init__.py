"""Where the rows of a task come from: the hub, local files, or an installed package."""

from pathlib import Path

from ee_lightning.data.sources.held_out import HeldOutSource
from ee_lightning.data.sources.hub import HubSource
from ee_lightning.data.sources.local import LocalSource
from ee_lightning.data.sources.packaged import PACKAGED_DATA, PackagedSource
from ee_lightning.data.sources.rows import SPLITS, Source
from ee_lightning.data.task import Task
from ee_lightning.packaged import PREFIX

__all__ = ["PACKAGED_DATA", "SPLITS", "Source", "open_source"]


def open_source(root: str | Path | None, task: Task) -> Source:
    """Choose where the rows of a task are read from. Nothing is read yet.

    Args:
        root: `packaged:NAME` for an installed package, anything else is a local folder or file; None is the hub, or for
            a task of one's own the current folder.
        task: The task to read.

    Returns:
        The source, which holds splits that the task comes without out of the training rows.

    Raises:
        DataError: The packaged name is unknown or carries another task.
    """
    source = _open(root, task)
    return HeldOutSource(source, task.held_out) if task.held_out else source


def _open(root: str | Path | None, task: Task) -> Source:
    if root is None and task.hub_path is not None:
        return HubSource(task)
    if str(root).startswith(PREFIX):
        return PackagedSource(str(root), task)
    return LocalSource(Path(root or "."), task)
