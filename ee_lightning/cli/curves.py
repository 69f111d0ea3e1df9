"""``ee-lightning curves``: curves from stored exits, without a model."""

from collections.abc import Sequence
from pathlib import Path

from ee_lightning.cli.options import Options
from ee_lightning.exits import CRITERIA, GATE, Criterion, Fitted, Gate, Patience, StoredExits
from ee_lightning.operating import criteria
from ee_lightning.reporting import RunFolder, distinct, print_summary, sweep_exits, write_sweep


def run(arguments: Sequence[str]) -> None:
    """Sweep the exits that a run folder holds, and write its curves, plot and figures anew.

    Args:
        arguments: What follows the command's name.
    """
    options = Options(
        prog="ee-lightning curves",
        description="Replay a run folder's stored exits, without a model: writes its curves, plot and figures anew.",
    )
    options.add_argument("run", type=Path, metavar="RUN", help="the run folder, such as runs/demo/version_0")
    options.add_argument(
        "--criteria",
        help=f"such as 'voting(k=1),patience'; all that apply if left out. Known: {', '.join(CRITERIA)}",
    )
    chosen = options.read(arguments)
    folder = RunFolder(chosen.run)
    splits, calibration = folder.stored_splits(), folder.read_calibration()
    evaluated = {split: folder.read_figures(split) for split in splits}
    for split in splits:
        exits, figures = folder.read_exits(split), evaluated[split]
        if chosen.criteria is None:
            methods = all_that_apply(exits, calibration)
        else:
            methods = [recipe.build() for recipe in criteria(chosen.criteria)]
        found = sweep_exits(
            distinct(methods),
            exits,
            calibration,
            task=figures["task"],
            metrics=figures["metrics"],
            checkpoint=figures.get("checkpoint"),
        )
        write_sweep(folder, split, found)
    print_summary(folder)


def all_that_apply(exits: StoredExits, calibration: StoredExits | None) -> list[Criterion]:
    """Make every criterion, with its defaults, that these exits can answer."""
    made = [kind() for kind in CRITERIA.values()]
    if exits.num_classes == 1:
        made = [criterion for criterion in made if criterion.handles_regression and not isinstance(criterion, Patience)]
    if GATE not in exits.extras:
        made = [criterion for criterion in made if not isinstance(criterion, Gate)]
    if calibration is None:
        made = [criterion for criterion in made if not isinstance(criterion, Fitted)]
    return made
