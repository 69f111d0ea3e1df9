"""Which W&B run a run folder belongs to."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import wandb

from ee_lightning.files import read_json, reading
from ee_lightning.reporting import RunFolder
from ee_lightning.typed import typed


@dataclass(frozen=True)
class _Record:
    entity: str | None
    project: str
    run: str


def read_record(folder: RunFolder) -> dict[str, Any]:
    """Read of which W&B run a run folder is: ``entity``, ``project`` and ``run``; empty where it is of none.

    Raises:
        RunFolderError: The file is damaged.
    """
    with reading(folder.wandb, mend="delete it; a W&B run of its own then begins where this run goes on"):
        return asdict(typed(_Record, read_json(folder.wandb))) if folder.wandb.is_file() else {}


def write_record(folder: RunFolder, run: wandb.Run) -> None:
    """Write of which W&B run a run folder is."""
    record = {"entity": run.entity or None, "project": run.project, "run": run.id}
    if record != read_record(folder):
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.whole(folder.wandb.name) as file:
            file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def going_on(options: Mapping[str, Any], folder: RunFolder) -> dict[str, Any]:
    """Give options of ``wandb.init`` by which a run folder's W&B run goes on, unless they or an agent name another."""
    record = read_record(folder)
    if not record or options.get("id") is not None or "WANDB_RUN_ID" in os.environ:
        return dict(options)
    return {**options, "id": record["run"], "resume": "allow"}  # without which it would be written over
