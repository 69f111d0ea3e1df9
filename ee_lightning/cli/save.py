"""``ee-lightning save``: a run's model in one folder, to be run elsewhere."""

from collections.abc import Sequence

from ee_lightning.cli.deployed import add_model, is_run, load, warn_of_threshold
from ee_lightning.cli.options import Options
from ee_lightning.exits import replay
from ee_lightning.inference import Deployment
from ee_lightning.runs.folder import RunFolder


def run(arguments: Sequence[str]) -> None:
    """Write the best model of a run, its tokenizer and its operating point into one folder.

    Args:
        arguments: What follows the command's name.
    """
    options = Options(
        prog="ee-lightning save",
        description="Write a run's model, its tokenizer and its operating point into one folder.",
    )
    add_model(options)
    options.add_argument("folder", metavar="FOLDER", help="the folder to write")
    chosen = options.read(arguments)
    predictor = load(chosen, device="cpu")
    predictor.save_pretrained(chosen.folder)
    print(f"early exit by {predictor.deployment.rule}")
    if is_run(chosen.model):
        _warn(RunFolder(chosen.model), predictor.deployment)
    print(f"saved: {chosen.folder}")


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
