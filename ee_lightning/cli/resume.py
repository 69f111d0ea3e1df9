"""Finds the run that ``fit --ckpt_path last`` goes on with."""

from pathlib import Path

from ee_lightning.errors import OptionError
from ee_lightning.reporting import RunFolder


class RunIsFinished(Exception):
    """There is nothing left to do."""


def run_to_resume(root: Path, name: str) -> tuple[RunFolder, int]:
    """Give the newest folder of a training run and its version, what a killed process left half written cleared away.

    Args:
        root: The folder of all run folders.
        name: The run's name.

    Raises:
        OptionError: There is none.
        RunIsFinished: It is complete.
    """
    names = [path.parent.name.removeprefix("version_") for path in (root / name).glob("version_*/checkpoints")]
    versions = [int(number) for number in names if number.isdecimal()]
    if not versions:
        raise OptionError(
            "there is no training run to go on with",
            where=root / name,
            mend="leave --ckpt_path last out to start one, or name another with --run.root and --run.name",
        )
    newest = RunFolder(root / name / f"version_{max(versions)}")
    if newest.is_finished:
        raise RunIsFinished(f"this run is finished, and nothing was done: {newest.path}")
    newest.clear_unfinished()
    return newest, max(versions)
