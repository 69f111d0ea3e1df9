"""``ee-lightning curves``: curves from stored exits, without a model."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ee_lightning.analysis.sweep import Sweep, all_that_apply, distinct, named, scalars, sweep_exits
from ee_lightning.cli.options import Options, add_criterion_options, with_options
from ee_lightning.exits import CRITERIA, Fixed, Oracle
from ee_lightning.exits.naming import CriterionSpec, criteria
from ee_lightning.reporting import print_figures, print_summary, write_sweep
from ee_lightning.runs.folder import RunFolder

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
        help="such as 'voting(k=0.5),patience', in place of those that the run has; those and all that apply if left "
        f"out. Known: {', '.join(CRITERIA)}",
    )
    options.add_argument(
        "--wandb", action="store_true", help="log the figures to W&B instead, and leave the run folder as it is"
    )
    add_criterion_options(options)
    chosen = options.read(arguments)
    folder = RunFolder(chosen.run)
    asked = [] if chosen.criteria is None else criteria(chosen.criteria)
    specs = with_options(asked, chosen)
    splits, calibration = folder.stored_splits(), folder.read_calibration()
    evaluated = {split: folder.read_figures(split) for split in splits}
    sweeps, kept = {}, {}
    for split in splits:
        exits, figures = folder.read_exits(split), evaluated[split]
        there, unknown = named(list(figures["criteria"]), exits, calibration)
        methods = [spec.build() for spec in specs]
        if not methods:
            methods = all_that_apply(exits, calibration)
            methods += [each for each in there if each.name not in {method.name for method in methods}]
        kept[split] = [name for name in unknown if name not in {method.name for method in methods}]
        sweeps[split] = sweep_exits(
            distinct(methods),
            exits,
            calibration,
            task=figures["task"],
            metrics=figures["metrics"],
            checkpoint=figures.get("checkpoint"),
        )
    if chosen.wandb:
        print_figures({split: found.summary for split, found in sweeps.items()})
        _log(sweeps, dict(zip(map(_name, specs), map(_name, asked), strict=True)), {"run": str(folder.path)})
        return
    for split, found in sweeps.items():
        write_sweep(folder, split, found, kept[split])
    print_summary(folder)
    for split, names in kept.items():
        if names:
            print(f"kept as they were on {split}, for no name makes them anew: {', '.join(names)}")
    for line in dict.fromkeys(line for found in sweeps.values() for line in _warnings(found)):
        print(line)


def _warnings(found: Sweep) -> Iterator[str]:
    for curve in found.curves:
        if curve.is_all_or_nothing and curve.criterion not in (Oracle.name, Fixed.name):
            yield (
                f"warning: {curve.criterion} lets all samples leave at their first chance or none:\n"
                "it has no operating point between the two, and its figures there are a line"
            )


def _name(spec: CriterionSpec) -> str:
    return spec.build().name


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
