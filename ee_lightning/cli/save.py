"""``ee-lightning save``: a run's model in one folder, to be run elsewhere."""

from collections.abc import Sequence

from ee_lightning.cli.deployed import add_model, load
from ee_lightning.cli.options import Options


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
    print(f"saved: {chosen.folder}")
