"""``ee-lightning choose``: a budget goes in, an operating point comes out."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ee_lightning.cli.options import Options, criteria
from ee_lightning.errors import OptionError
from ee_lightning.exits import Fitted
from ee_lightning.inference import OPERATING_POINT, CriterionRecipe
from ee_lightning.reporting import (
    Budget,
    Consistency,
    MaxLoss,
    MinSpeedup,
    RunFolder,
    choose,
    fit_criteria,
    print_choice,
)


def run(arguments: Sequence[str]) -> None:
    """Choose a threshold on one half of a split, measure it on the other, and save it in the run folder.

    Args:
        arguments: What follows the command's name.
    """
    options = Options(
        prog="ee-lightning choose",
        description="Choose a threshold by a budget on one half of a split, and measure it on the other.",
    )
    options.add_argument("run", type=Path, metavar="RUN", help="the run folder, such as runs/demo/version_0")
    options.add_argument("--criterion", required=True, help="such as voting or 'voting(k=1)'")
    budget = options.add_mutually_exclusive_group(required=True)
    budget.add_argument("--min-speedup", type=float, help="at least so many times faster, by layers")
    budget.add_argument("--max-loss", type=float, help="at most so many points below the full model")
    budget.add_argument("--consistency", type=float, help="at least this share of the full model's labels")
    options.add_argument("--guarantee", type=float, help="keep to the budget with this probability, such as 0.95")
    options.add_argument("--split", default="validation", help="the split whose exits are used (validation)")
    options.add_argument("--seed", type=int, default=0, help="of the halves and of the intervals (0)")
    chosen = options.parse_args(arguments)
    folder, recipe = RunFolder(chosen.run), _only(criteria(chosen.criterion))
    point = choose(
        folder.read_exits(chosen.split),
        _fitted(recipe, folder),
        _budget(chosen),
        metric=folder.read_summary()[chosen.split]["metrics"][0],
        split=chosen.split,
        guarantee=chosen.guarantee,
        seed=chosen.seed,
    )
    with folder.whole(OPERATING_POINT) as file:
        point.write(file)
    print_choice(point, criterion_name=recipe.build().name)
    print(f"saved: {folder.path / OPERATING_POINT}")


def _only(recipes: list[CriterionRecipe]) -> CriterionRecipe:
    if len(recipes) != 1:
        raise OptionError(f"{len(recipes)} criteria are given", where="--criterion", mend="choose for one at a time")
    return recipes[0]


def _fitted(recipe: CriterionRecipe, folder: RunFolder) -> CriterionRecipe:
    criterion = recipe.build()
    fit_criteria([criterion], folder.read_calibration())
    return replace(recipe, fitted=criterion.fitted) if isinstance(criterion, Fitted) else recipe


def _budget(chosen: Namespace) -> Budget:
    if chosen.min_speedup is not None:
        return MinSpeedup(chosen.min_speedup)
    return MaxLoss(chosen.max_loss) if chosen.max_loss is not None else Consistency(chosen.consistency)
