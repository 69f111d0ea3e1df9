"""``ee-lightning fetch-run``: a run folder from W&B."""

from pathlib import Path
from typing import Annotated


def run(run: Annotated[str, "ENTITY/PROJECT/RUN"], *, root: Path = Path("runs")) -> None:
    """Restore a run folder from W&B, where it was logged with log_model or by choose --wandb.

    Args:
        run: The W&B run; or, for another version than the latest, the artifact: ENTITY/PROJECT/run_folder-RUN:v0.
        root: The folder of all run folders.
    """
    from ee_lightning.tracking.artifacts import fetch_run_folder  # which takes seconds

    print(f"run folder: {fetch_run_folder(run, root).path}")
