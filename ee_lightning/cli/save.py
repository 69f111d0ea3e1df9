"""``ee-lightning save``: a run's model in one folder, to be run elsewhere."""

from ee_lightning.cli.command import Number
from ee_lightning.cli.deployed import Model, is_run, load, warn_of_threshold
from ee_lightning.exits import replay
from ee_lightning.inference import Deployment
from ee_lightning.runs.folder import RunFolder


def run(model: Model, folder: str, *, criterion: str | None = None, threshold: Number | None = None) -> None:
    """Write a run's model, its tokenizer and its operating point into one folder.

    Args:
        model: A run folder, or what save wrote: its folder, or its name on the hub.
        folder: The folder to write.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (those of the operating point).
        threshold: In the criterion's unit; inf lets nobody leave early.
    """
    predictor = load(model, criterion, threshold, device="cpu")
    predictor.save_pretrained(folder)
    print(f"early exit by {predictor.deployment.rule}")
    if is_run(model):
        _warn(RunFolder(model), predictor.deployment)
    print(f"saved: {folder}")


def _warn(folder: RunFolder, deployment: Deployment) -> None:
    """Warn of the threshold by the stored exits of the first split there is."""
    for split in ("validation", "test"):
        if folder.has_exits(split):
            exits, rule = folder.read_exits(split), deployment.rule
            mean_exit = replay(rule.build(), exits).at(rule.threshold)[0].double().mean().item()
            warn_of_threshold(
                rule, mean_exit, deployment.num_exits, f"{exits.num_samples} samples of the split {split}"
            )
            return
