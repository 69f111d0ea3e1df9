"""``ee-lightning fetch-run``: a run folder from W&B."""

from collections.abc import Sequence
from pathlib import Path

from ee_lightning.cli.options import Options


def run(arguments: Sequence[str]) -> None:
    """Restore a run folder that was logged to W&B.

    Args:
        arguments: What follows the command's name.
    """
    options = Options(
        prog="ee-lightning fetch-run",
        description="Restore a run folder from W&B, where it was logged with log_model or by choose --wandb.",
    )
    options.add_argument(
        "run",
        metavar="ENTITY/PROJECT/RUN",
        help="the W&B run; or, for another version than the latest, the artifact: ENTITY/PROJECT/run_folder-RUN:v0",
    )
    options.add_argument("--root", type=Path, default="runs", help="the folder of all run folders (runs)")
    chosen = options.read(arguments)
    from ee_lightning.tracking.artifacts import fetch_run_folder  # which takes seconds

    print(f"run folder: {fetch_run_folder(chosen.run, chosen.root).path}")
