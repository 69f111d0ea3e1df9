"""Writes the trainings of a suite for a cluster: as a SLURM array, or as a grid for the agents of W&B."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from ee_lightning.files import written_whole
from ee_lightning.reproduce.suite import Suite, Training

PLACEHOLDER = "${args}"

_ARRAY = """\
#!/bin/bash
# The {number} trainings of the suite {suite}, a job each: sbatch {file}
# Options of sbatch, such as --gres=gpu:1 or --time=4:00:00, go before the name of the file. After all jobs, the tables:
#     {tables}
#SBATCH --job-name={suite}
#SBATCH --array=0-{last}
#SBATCH --ntasks=1
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail

case $SLURM_ARRAY_TASK_ID in
{trainings}
esac
srun {command} "$@"
"""


def write_slurm_array(
    file: Path, suite: Suite, trainings: Sequence[Training], command: Sequence[str], tables: Sequence[str]
) -> None:
    """Write a script for ``sbatch`` whose index is a training.

    Args:
        file: The script.
        suite: The suite.
        trainings: Those of its trainings that are meant.
        command: What a job runs, but for the training.
        tables: What makes the tables at the end.

    Raises:
        RunFolderError: It can't be written.
    """
    chosen = [[f"--tasks={each.task}", f"--trainings={each.name}", f"--seeds={each.seed}"] for each in trainings]
    content = _ARRAY.format(
        number=len(trainings),
        last=len(trainings) - 1,
        suite=shlex.quote(suite.name),
        file=shlex.quote(str(file)),
        tables=shlex.join(tables),
        trainings="\n".join(f"  {index}) set -- {shlex.join(each)} ;;" for index, each in enumerate(chosen)),
        command=shlex.join(command),
    )
    with written_whole(file) as unfinished:
        unfinished.write_text(content, encoding="utf-8")


def write_wandb_sweep(file: Path, suite: Suite, trainings: Sequence[Training], command: Sequence[str]) -> None:
    """Write a sweep whose grid is the trainings.

    Args:
        file: The sweep's file, for ``wandb sweep``.
        suite: The suite.
        trainings: Those of its trainings that are meant: all of some tasks, of some names, by some seeds.
        command: What an agent runs, but for the training.

    Raises:
        RunFolderError: It can't be written.
    """
    of_all = zip(*((each.task, each.name, each.seed) for each in trainings), strict=True)
    grid = {name: list(dict.fromkeys(of)) for name, of in zip(("tasks", "trainings", "seeds"), of_all, strict=True)}
    sweep = {
        "name": suite.name,
        "project": "ee_lightning",
        "program": command[0],
        "method": "grid",
        "parameters": {name: {"values": values} for name, values in grid.items()},
        "command": ["${program}", *command[1:], PLACEHOLDER],
    }
    with written_whole(file) as unfinished:
        unfinished.write_text(yaml.safe_dump(sweep, sort_keys=False), encoding="utf-8")
