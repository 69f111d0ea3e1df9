"""``ee-lightning choose``: a budget goes in, an operating point comes out."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from ee_lightning.analysis.budgets import Budget, Consistency, MaxLoss, MinSpeedup, budget_of
from ee_lightning.analysis.choice import Rival, choose, clear_rival, one_sided
from ee_lightning.analysis.sweep import all_that_apply, fit_criteria, fit_spec
from ee_lightning.cli.options import Options
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits import Fitted, in_short
from ee_lightning.exits.naming import spec_of
from ee_lightning.functional import CLASSIFICATION_METRICS, MULTI_LABEL_METRICS
from ee_lightning.reporting import print_choice
from ee_lightning.runs.folder import CALIBRATION, RunFolder
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint

SELECTED_ON = "validation"
"""The split whose scores decide which checkpoint is kept."""

_WARNING = """\
warning: fit keeps the checkpoint that scores best on the validation split. If
it chose among several, the guarantee does not hold strictly; it does on rows
that nothing was selected on: --split test, or --split calibration for a
criterion that fits nothing."""
FEW = 200
"""Of how many rows on a warning is left out."""


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
    options.add_argument("--criterion", required=True, help="such as confidence or 'voting(k=0.5)'")
    budgets = options.add_mutually_exclusive_group(required=True)
    budgets.add_argument("--min-speedup", type=float, help="at least so many times faster, by layers")
    budgets.add_argument("--max-loss", type=float, help="at most so many points below the full model")
    budgets.add_argument("--consistency", type=float, help="at least this share of the full model's labels")
    options.add_argument(
        "--metric",
        choices={**CLASSIFICATION_METRICS, **MULTI_LABEL_METRICS},
        help="the score that counts (the task's first)",
    )
    options.add_argument(
        "--guarantee",
        type=float,
        help="keep to the budget with this probability, such as 0.95; it holds for one choice made once: trying other "
        "seeds, budgets or criteria until one succeeds voids it",
    )
    options.add_argument(
        "--split", default=SELECTED_ON, help="whose exits are used: validation (the default), test or calibration"
    )
    options.add_argument("--seed", type=int, default=0, help="of the halves and of the intervals (0)")
    options.add_argument(
        "--wandb", action="store_true", help="log the run folder with its operating point to W&B too, as an artifact"
    )
    chosen = options.read(arguments)
    folder, spec, budget = RunFolder(chosen.run), spec_of(chosen.criterion), _budget(chosen)
    if chosen.split == CALIBRATION and isinstance(spec.build(), Fitted):
        raise OptionError(
            f"{chosen.criterion} was fitted on the calibration rows, so they can't choose its threshold",
            where="--split calibration",
            hint="take another split, or a criterion that fits nothing",
        )
    exits, calibration = folder.read_exits(chosen.split), folder.read_calibration()
    point = choose(
        exits,
        fit_spec(spec, calibration),
        budget,
        metric=chosen.metric or _primary_metric(folder, chosen.split),
        split=chosen.split,
        guarantee=chosen.guarantee,
        seed=chosen.seed,
    )
    replaced = _replaced(folder, point)
    with folder.whole(OPERATING_POINT) as file:
        point.write(file)
    print_choice(point, criterion_name=spec.build().name)
    for line in _warnings(point):
        print(_wrapped(f"warning: {line}"))
    if chosen.guarantee is not None and chosen.split == SELECTED_ON:
        print(_WARNING)
    if chosen.guarantee is None:
        rivals = all_that_apply(exits, None if chosen.split == CALIBRATION else calibration)
        fit_criteria(rivals, calibration)
        _print_rival(clear_rival(point, budget, rivals, exits), budget)
    if replaced:
        print(_wrapped(f"replaced: {replaced}"))
    print(f"saved: {folder.path / OPERATING_POINT}")
    if chosen.wandb:
        _log(folder, {"criterion": chosen.criterion, "threshold": point.threshold})


def _warnings(point: OperatingPoint) -> Iterator[str]:
    if (samples := point.chosen_on + point.measured_on) < FEW:
        yield f"{samples} samples are few to choose and to measure on; take a split of {FEW} or more"
    mean_exit = point.num_exits / point.reached["speedup"].value
    if found := one_sided(mean_exit, point.num_exits, f"{point.measured_on} other samples"):
        yield found


def _print_rival(rival: Rival | None, budget: Budget) -> None:
    if rival is None:
        return
    unit, scale = {"speedup": ("x", 1), "score": (" points", 100)}[rival.figure]
    low, high = scale * rival.gain.low, scale * rival.gain.high
    gained = {"speedup": "faster by", "score": "better by"}[rival.figure]
    print(
        _wrapped(
            f"note: --criterion '{rival.criterion}' keeps to {budget} too, and is {gained} "
            f"{scale * rival.gain.value:.2g}{unit} (interval {low:.2g} to {high:.2g}) on the samples it was chosen on"
        )
    )


def _wrapped(line: str) -> str:
    return fill(line, 80, break_long_words=False, break_on_hyphens=False)


def _replaced(folder: RunFolder, point: OperatingPoint) -> str | None:
    """Return what to call the operating point that another one is about to replace; None where there is no other."""
    if not (folder.path / OPERATING_POINT).is_file():
        return None
    try:
        old = OperatingPoint.read(folder.path)
    except RunFolderError:
        return "an operating point that can't be read"
    if (old.criterion, old.threshold, old.asked) == (point.criterion, point.threshold, point.asked):
        return None
    asked = old.asked
    options = [str(budget_of(asked)), f"--metric {asked.metric}", f"--split {asked.split}", f"--seed {asked.seed}"]
    if asked.guarantee is not None:
        options.append(f"--guarantee {asked.guarantee:g}")
    return (
        f"the operating point {old.criterion.build().name} at threshold {in_short(old.threshold)}, chosen by "
        f"{' '.join(options)}"
    )


def _log(folder: RunFolder, config: Mapping[str, Any]) -> None:
    """Log a run folder as a W&B run of its own, where what was logged of it before is."""
    from ee_lightning.tracking import EarlyExitWandbLogger  # which takes seconds
    from ee_lightning.tracking.start import read_record

    record = read_record(folder)
    place = {"project": record.get("project", "ee_lightning"), "entity": record.get("entity")}
    logger = EarlyExitWandbLogger(job_type="choose", **place)
    logger.log_hyperparams({"choose": {"run": str(folder.path), **config}})
    logger.log_run_folder(folder)
    logger.finish()


def _primary_metric(folder: RunFolder, split: str) -> str:
    """Name the task's first metric; the calibration rows have no figures of their own."""
    figures = next(iter(folder.read_summary().values())) if split == CALIBRATION else folder.read_figures(split)
    return str(figures["metrics"][0])


def _budget(chosen: Namespace) -> Budget:
    if chosen.min_speedup is not None:
        return MinSpeedup(chosen.min_speedup)
    return MaxLoss(chosen.max_loss) if chosen.max_loss is not None else Consistency(chosen.consistency)
