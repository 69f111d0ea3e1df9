"""Run folders as artifacts of Weights & Biases."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import all_suffixes
from pathlib import Path
from tempfile import mkdtemp

import wandb

from ee_lightning.files import read_yaml, reading
from ee_lightning.reporting import RunFolder
from ee_lightning.tracking.record import read_record, write_record
from ee_lightning.tracking.start import notice
from ee_lightning.typed import typed

TYPE = "run_folder"
"""The type of these artifacts, with which their names begin too."""


def name_of(run: str) -> str:
    """Name the artifact that is called by a W&B run's id."""
    return f"{TYPE}-{run}"


def is_code(name: str) -> bool:
    """Tell whether a file, by its name, is a module that Python can import."""
    return name.lower().endswith(tuple(all_suffixes()))


def log_run_folder(run: wandb.Run, folder: RunFolder) -> wandb.Artifact:
    """Log a run folder: the checkpoint whose exits were swept, and all else that is neither hidden nor code.

    The first W&B run that logs it gives the artifact its name, and what is logged later is another version of that.
    What is uploaded are copies and links in the W&B run's own folder: so the run folder may change meanwhile, and
    ``wandb sync`` of a run that is offline finds all of it.

    Args:
        run: The W&B run that logs it.
        folder: The run folder.
    """
    if not read_record(folder):
        write_record(folder, run)
    artifact = wandb.Artifact(name_of(read_record(folder)["run"]), type=TYPE, metadata={TYPE: _place(folder)})
    kept = Path(mkdtemp(prefix=f"{TYPE}-", dir=run.settings.sync_dir)).absolute()
    for name in _logged_files(folder):
        _keep(folder.path / name, kept / name, by_link=(folder.path / name).is_relative_to(folder.checkpoints))
        artifact.add_file(str(kept / name), name=name.as_posix(), policy="immutable", skip_cache=True)
    return run.log_artifact(artifact)


def await_uploads(run: wandb.Run, artifacts: Sequence[wandb.Artifact], seconds: float) -> None:
    """Wait until artifacts are uploaded, if they are to be at all, remove their copies and links, and tell what failed.

    Args:
        run: The W&B run that logged them.
        artifacts: What `log_run_folder` gave.
        seconds: How long to wait for each.
    """
    if run.offline or run.disabled:
        return
    for artifact in artifacts:
        try:
            artifact.wait(timeout=round(seconds))
        except Exception as error:  # wandb has no class in common for what it raises here
            again = "Log it again: ee-lightning choose RUN_FOLDER ... --wandb"  # `wandb sync` would leave it out
            notice(f"the run folder is not there as an artifact, because of {type(error).__name__}: {error}. {again}")
    for kept in Path(run.settings.sync_dir).glob(f"{TYPE}-*"):
        shutil.rmtree(kept, ignore_errors=True)


def _place(folder: RunFolder) -> str:
    """Tell where below ``--run.root`` a run folder is."""
    path = folder.path.resolve()
    name = path.parent.name
    if folder.config.is_file():
        with reading(folder.config, mend="bring it back as fit wrote it"):
            name = typed(str, read_yaml(folder.config)["run"]["name"], at="run.name")
    return f"{name}/{path.name}"


def _logged_files(folder: RunFolder) -> Iterator[Path]:
    swept = [checkpoint.resolve() for checkpoint in folder.swept_checkpoints()]
    for file in sorted(file for file in folder.path.rglob("*") if file.is_file()):
        name = file.relative_to(folder.path)
        is_hidden = any(part.startswith(".") for part in name.parts)
        is_swept = any(file.resolve().is_relative_to(checkpoint) for checkpoint in swept)
        if is_swept or not (is_hidden or is_code(file.name) or file.is_relative_to(folder.checkpoints)):
            yield name


def _keep(file: Path, kept: Path, *, by_link: bool) -> None:
    """Copy a file, or link one that is never changed, but replaced."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    if by_link:
        with suppress(OSError):  # another disk, or one without links
            os.link(file, kept)
            return
    shutil.copyfile(file, kept)
