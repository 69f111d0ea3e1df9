"""``ee-lightning curves``: curves from stored exits, without a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ee_lightning.cli.criterion_options import add_criterion_options, with_options
from ee_lightning.cli.options import Options
from ee_lightning.exits import CRITERIA, GATE, Criterion, Fitted, Gate, Patience, StoredExits
from ee_lightning.functional import Kind
from ee_lightning.operating import CriterionRecipe, criteria
from ee_lightning.reporting import (
    RunFolder,
    Sweep,
    distinct,
    print_figures,
    print_summary,
    scalars,
    sweep_exits,
    write_sweep,
)

STAGES = {"validation": "val"}
"""The prefixes under which splits are logged, where they are not their names."""


def run(arguments: Sequence[str]) -> None:
    """Sweep the exits that a run folder holds, and write its curves, plot and figures anew, or log them to W&B.

    Args:
        arguments: What follows the command's name.
    """
    options = Options(
        prog="ee-lightning curves",
        description="Replay a run folder's stored exits, without a model: writes its curves, plot and figures anew.",
        epilog="Options of the criteria are options too: --criteria voting --voting.k 0.5 --voting.fallback majority.",
    )
    options.add_argument("run", type=Path, metavar="RUN", help="the run folder, such as runs/demo/version_0")
    options.add_argument(
        "--criteria",
        help=f"such as 'voting(k=1),patience'; all that apply if left out. Known: {', '.join(CRITERIA)}",
    )
    options.add_argument(
        "--wandb", action="store_true", help="log the figures to W&B instead, and leave the run folder as it is"
    )
    add_criterion_options(options)
    chosen = options.read(arguments)
    folder = RunFolder(chosen.run)
    named = [] if chosen.criteria is None else criteria(chosen.criteria)
    recipes = with_options(named, chosen)
    splits, calibration = folder.stored_splits(), folder.read_calibration()
    evaluated = {split: folder.read_figures(split) for split in splits}
    sweeps = {}
    for split in splits:
        exits, figures = folder.read_exits(split), evaluated[split]
        sweeps[split] = sweep_exits(
            distinct([recipe.build() for recipe in recipes] or all_that_apply(exits, calibration)),
            exits,
            calibration,
            task=figures["task"],
            metrics=figures["metrics"],
            checkpoint=figures.get("checkpoint"),
        )
    if chosen.wandb:
        print_figures({split: found.summary for split, found in sweeps.items()})
        _log(sweeps, dict(zip(map(_name, recipes), map(_name, named), strict=True)), {"run": str(folder.path)})
        return
    for split, found in sweeps.items():
        write_sweep(folder, split, found)
    print_summary(folder)


def all_that_apply(exits: StoredExits, calibration: StoredExits | None) -> list[Criterion]:
    """Make every criterion, with its defaults, that these exits can answer."""
    made = [kind() for kind in CRITERIA.values()]
    if exits.kind is Kind.REGRESSION:
        made = [criterion for criterion in made if criterion.handles_regression and not isinstance(criterion, Patience)]
    if exits.kind is Kind.MULTI_LABEL:
        made = [criterion for criterion in made if criterion.handles_multi_label]
    if GATE not in exits.extras:
        made = [criterion for criterion in made if not isinstance(criterion, Gate)]
    if calibration is None:
        made = [criterion for criterion in made if not isinstance(criterion, Fitted)]
    return made


def _name(recipe: CriterionRecipe) -> str:
    return recipe.build().name


def _log(sweeps: Mapping[str, Sweep], names: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Log the figures of a sweep as a W&B run, of a sweep agent where one has started this process.

    Args:
        sweeps: What was found, by split.
        names: The names to log criteria by; those without the options that a W&B sweep varies are the same throughout.
        config: What to log as configuration.
    """
    from ee_lightning.tracking import EarlyExitWandbLogger  # which takes seconds

    figures: dict[str, float] = {}
    for split, found in sweeps.items():
        criteria = {names.get(name, name): by_metric for name, by_metric in found.summary["criteria"].items()}
        figures |= scalars({**found.summary, "criteria": criteria}, STAGES.get(split, split))
    logger = EarlyExitWandbLogger(project="ee_lightning", job_type="curves")
    logger.log_hyperparams({"curves": config})
    logger.log_metrics(figures)
    logger.finish()
