"""Where the rows of a task come from: the hub, a local folder, or an installed package."""

from pathlib import Path

from ee_lightning.data.sources.hub import HubSource
from ee_lightning.data.sources.local_glue import LocalGlueSource
from ee_lightning.data.sources.packaged import PACKAGED_DATA, PackagedSource
from ee_lightning.data.sources.rows import SPLITS, UNLABELLED, Source
from ee_lightning.data.tasks import Task
from ee_lightning.packaged import PREFIX

__all__ = ["PACKAGED_DATA", "SPLITS", "UNLABELLED", "Source", "open_source"]


def open_source(root: str | Path | None, task: Task) -> Source:
    """Choose where the rows of a task are read from. Nothing is read yet.

    Args:
        root: None for the hub, `packaged:NAME` for an installed package, anything else is a local folder.
        task: The task to read.

    Returns:
        The source.

    Raises:
        DataError: The packaged name is unknown or carries another task, or the task has no local layout.
    """
    if root is None:
        return HubSource(task)
    if str(root).startswith(PREFIX):
        return PackagedSource(str(root), task)
    return LocalGlueSource(Path(root), task)
