"""``ee-lightning curves``: curves from stored exits, without a model."""

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ee_lightning.analysis.calibration import doubts
from ee_lightning.analysis.sweep import Sweep, all_that_apply, distinct, named, scalars, sweep_exits
from ee_lightning.cli.command import CommandParser, LayersOfExits, OutputFile, Words
from ee_lightning.errors import OptionError, require_one_of
from ee_lightning.exits import CRITERIA, Fitted, Fixed, Oracle
from ee_lightning.exits.naming import CriterionSpec, spec_of
from ee_lightning.exits.naming import criteria as criteria_of
from ee_lightning.files import written_whole
from ee_lightning.functional import check_metrics
from ee_lightning.reporting import draw_curves, print_figures, print_summary, write_sweep
from ee_lightning.reporting.writing import chosen_in
from ee_lightning.runs.folder import RunFolder
from ee_lightning.terminal import wrapped

PICTURES = (".pdf", ".svg", ".png")


def parser() -> CommandParser:
    """Return the parser, which has the options of every criterion too."""
    made = CommandParser(curves, "curves")
    for name, kind in CRITERIA.items():
        for option in inspect.signature(kind).parameters:
            made.add_argument(f"--{name}.{option}", metavar="VALUE", help=f"The {option} of {name}.")
    return made


def curves(
    run: Path,
    *,
    criteria: str | None = None,
    metrics: Words | None = None,
    exits: LayersOfExits | None = None,
    all_points: bool = False,
    picture: OutputFile | None = None,
    wandb: bool = False,
    **of_criteria: Any,
) -> None:
    """Compute the curves of a run again from its stored exits, without the model; write curves, plot and figures.

    Options of the criteria are options too: --criteria voting --voting.k 0.5 --voting.fallback majority.

    Args:
        run: The run folder, such as runs/demo/version_0.
        criteria: Such as 'voting(k=0.5),patience', in place of those that the run has; those and all that apply if left
            out. Known: KNOWN.
        metrics: Such as 'macro_f1,class_recall,auroc', in place of those that the run has.
        exits: Use only the exits after these layers, such as 3,6,9,12, as if the model had no others; prints the
            figures, and leaves the run folder as it is.
        all_points: Write every operating point into curves.csv, also those that are too close to others to matter in a
            plot or a choice.
        picture: Draw these curves into a file of its own too, a .pdf, .svg or .png.
        wandb: Log the figures to W&B instead, and leave the run folder as it is.
        **of_criteria: The options of criteria by their dotted names, such as voting.k; None where there is none.
    """
    if all_points and (wandb or exits is not None):
        what = "--all-points is for curves.csv, which --wandb and --exits leave as it is"
        raise OptionError(what, where="--all-points", hint="leave it out")
    if picture is not None:
        require_one_of(picture.suffix.lower(), PICTURES, "--picture")
    folder = RunFolder(run)
    asked = [] if criteria is None else criteria_of(criteria)
    specs = with_options(asked, of_criteria)
    splits, calibration = folder.stored_splits(), folder.read_calibration()
    if exits is not None and calibration is not None:
        calibration = calibration.asking(exits)
    evaluated = {split: folder.read_figures(split) for split in splits}
    sweeps, kept = {}, {}
    for split in splits:
        stored, figures = folder.read_exits(split), evaluated[split]
        stored = stored if exits is None else stored.asking(exits)
        there, unknown = named(list(figures["criteria"]), stored, calibration)
        methods = [spec.build() for spec in specs]
        if not methods:
            methods = all_that_apply(stored, calibration)
            methods += [each for each in there if each.name not in {method.name for method in methods}]
        kept[split] = [name for name in unknown if name not in {method.name for method in methods}]
        if metrics is not None and kept[split]:
            raise OptionError(
                f"the results of {', '.join(kept[split])} can't be computed again, and lack other metrics",
                where="--metrics",
                hint="leave --metrics out, or name these criteria by their class paths in --criteria",
            )
        sweeps[split] = sweep_exits(
            distinct(methods),
            stored,
            calibration,
            split=split,
            task=figures["task"],
            metrics=list(figures["full_model"])
            if metrics is None
            else check_metrics(metrics, stored.target, "--metrics"),
            checkpoint=figures.get("checkpoint"),
        )
    if picture is not None:
        by_title = {f"{found.summary['task']} {split}": found.banded_curves for split, found in sweeps.items()}
        first = next(iter(sweeps.values()))
        chosen = chosen_in(folder, first.exits.layers_of_exits)
        figure = draw_curves(by_title, first.summary["metrics"][0], chosen)
        with written_whole(picture) as file:
            figure.savefig(file, format=picture.suffix[1:].lower())
        print(f"picture: {picture}")
    if wandb or exits is not None:
        print_figures({split: found.summary for split, found in sweeps.items()})
    else:
        _write(folder, sweeps, kept, all_points=all_points)
    if wandb:
        logged_as = {spec.build().name: plain.build().name for spec, plain in zip(specs, asked, strict=True)}
        _log(sweeps, logged_as, {"run": str(folder.path)} | ({} if exits is None else {"exits": exits}))
        return
    for line in dict.fromkeys(line for found in sweeps.values() for line in _warnings(found)):
        print(line)


def _write(folder: RunFolder, sweeps: Mapping[str, Sweep], kept: Mapping[str, list[str]], *, all_points: bool) -> None:
    """Write what was found by split into the run folder, where other results are kept, and print it."""
    for split, found in sweeps.items():
        write_sweep(folder, found, kept[split], all_points=all_points)
    print_summary(folder)
    for split, names in kept.items():
        if names:
            print(
                f"not replayed on {split}, and kept as they were: {', '.join(names)}. Name their classes in --criteria"
            )


curves.__doc__ = str(curves.__doc__).replace("KNOWN", ", ".join(CRITERIA))


def with_options(specs: Sequence[CriterionSpec], options: Mapping[str, str | None]) -> list[CriterionSpec]:
    """Return the criteria with the options that the command line has for them, by dotted names; None where it has none.

    Raises:
        OptionError: There is no criterion to take an option, or a value can't be read.

    Example:
        >>> with_options([spec_of("voting(fallback=majority)")], {"voting.k": "0.5"})[0].init_args
        {'fallback': 'majority', 'k': 0.5}
    """
    changed = list(specs)
    for dotted, value in options.items():
        if value is None:
            continue
        name, _, option = dotted.partition(".")
        given = spec_of(f"{name}({option}={value})")
        takers = [place for place, spec in enumerate(specs) if spec.class_path == given.class_path]
        if not takers:
            raise OptionError(
                f"--{dotted} is given, but not the criterion {name}", where="--criteria", hint=f"--criteria {name}"
            )
        for place in takers:
            changed[place] = replace(changed[place], init_args={**changed[place].init_args, **given.init_args})
    return changed


def _warnings(found: Sweep) -> Iterator[str]:
    if found.calibration is not None and any(isinstance(each, Fitted) for each in found.criteria):
        for doubt in doubts(found.calibration, found.exits):
            yield wrapped(f"warning: {doubt}", sys.stdout)
    for curve in found.curves:
        if curve.is_all_or_nothing and curve.criterion not in (Oracle.name, Fixed.name):
            yield (
                f"warning: {curve.criterion} lets all samples leave at their first chance or none:\n"
                "it has no operating point between the two, and its figures there are a line"
            )


def _log(sweeps: Mapping[str, Sweep], names: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Log the figures of a sweep, by split, as a W&B run, of a sweep agent where one has started this process.

    Criteria are logged by the given names, which are the same throughout a W&B sweep that varies their options.
    """
    from ee_lightning.tracking import EarlyExitWandbLogger  # which takes seconds

    figures: dict[str, float] = {}
    for found in sweeps.values():
        criteria = {names.get(name, name): by_metric for name, by_metric in found.summary["criteria"].items()}
        figures |= scalars({**found.summary, "criteria": criteria}, found.stage)
    logger = EarlyExitWandbLogger(project="ee_lightning", job_type="curves")
    logger.log_hyperparams({"curves": config})
    logger.log_metrics(figures)
    logger.finish()
