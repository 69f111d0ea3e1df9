"""``ee-lightning reproduce``: the trainings of a suite, as far as they are not there yet, and its tables."""

import shlex
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ee_lightning.cli.options import Options
from ee_lightning.errors import EarlyExitError, OptionError
from ee_lightning.files import named_by_user
from ee_lightning.fit.signals import interruptible
from ee_lightning.reproduce.clusters import write_slurm_array, write_wandb_sweep
from ee_lightning.reproduce.plan import PlannedRun, State, each_once, finished, plan
from ee_lightning.reproduce.progress import SuiteProgress, print_plan
from ee_lightning.reproduce.runner import Runner
from ee_lightning.reproduce.suite import (
    FitOptions,
    Selection,
    Suite,
    configs_folder,
    fit_arguments,
    load_suite,
    read_fit_arguments,
    trainings,
)


def run(arguments: Sequence[str]) -> None:
    """Print the plan of a suite, bring its trainings to their end, and write its tables.

    Args:
        arguments: What follows the command's name.

    Raises:
        EarlyExitError: Some trainings can't be run, or failed.
    """
    chosen, others = _options().parse_known_args(arguments)
    extra = read_fit_arguments(others)
    given = load_suite(chosen.suite)
    suite = replace(given, trainings={name: fit + extra for name, fit in given.trainings.items()})
    selection = Selection(chosen.tasks, chosen.trainings, chosen.seeds)
    selection.check(suite)
    if chosen.slurm is not None or chosen.wandb_sweep is not None:
        _write_for_cluster(suite, selection, chosen, extra)
        return
    console, whole = Console(markup=False), _plan(suite, chosen, selection)
    meant = [run for run in whole if run.training in selection]
    runs = each_once(meant)
    print_plan(suite, meant, chosen.root, console, clock=not chosen.no_clock)
    blocked = [run for run in runs if run.state is State.BLOCKED]
    if blocked and not chosen.keep_going:
        raise EarlyExitError(
            f"{len(blocked)} of {len(runs)} trainings can't be run, so nothing is started",
            hint="fix what the plan says of them, or run the others with --keep-going",
        )
    if chosen.plan:
        return
    failed = _bring_to_end([run for run in runs if run not in blocked], console, arguments)
    _tell_results(suite, whole, meant, chosen, console)
    if failed or blocked:
        raise EarlyExitError(
            f"of {len(runs)} trainings {failed} failed, and {len(blocked)} can't be run",
            hint="the same command runs again what is not finished",
        )


def _plan(suite: Suite, chosen: Namespace, selection: Selection) -> list[PlannedRun]:
    try:
        return plan(suite, chosen.root, selection if chosen.runs_only else None)
    except OptionError as error:
        if "model.backbone is needed" not in error.what:
            raise
        raise OptionError(
            f"the suite {suite.name} names no backbone",
            where="--model.backbone",
            hint=f"ee-lightning reproduce {chosen.suite} --model.backbone DIR --data.root DIR",
        ) from error


def _tell_results(
    suite: Suite, whole: Sequence[PlannedRun], meant: Sequence[PlannedRun], chosen: Namespace, console: Console
) -> None:
    """Write the tables, measure the rows on the clock, and write the tables again with what that gave."""
    tables = chosen.root / "tables" / suite.name
    if not chosen.runs_only:
        _write_report(suite, whole, tables)
    if not chosen.no_clock:
        from ee_lightning.reproduce.clock import measure_rows  # which takes seconds to import

        if measure_rows(suite, finished(meant), chosen.root, console) and not chosen.runs_only:
            _write_report(suite, whole, tables)
    if not chosen.runs_only:
        print(f"tables: {tables}")


def _write_report(suite: Suite, whole: Sequence[PlannedRun], tables: Path) -> None:
    from ee_lightning.reproduce.report.tables import write_report  # which takes seconds to import

    write_report(suite, finished(whole), tables)


def _bring_to_end(runs: Sequence[PlannedRun], console: Console, arguments: Sequence[str]) -> int:
    """Train what is not finished, and tell what failed and how to go on after an interrupt."""
    with SuiteProgress(console, runs) as progress, interruptible():
        try:
            failures = Runner(progress).bring_to_end(runs)
        except KeyboardInterrupt:
            again = shlex.join(["ee-lightning", "reproduce", *arguments])
            print(f"interrupted; nothing finished is lost, and this goes on from here: {again}", file=sys.stderr)
            raise
    for failure in failures:
        print(f"{failure.run.title} failed: {failure.reason}\n  log: {failure.run.log}", file=sys.stderr)
    return len(failures)


def _write_for_cluster(suite: Suite, selection: Selection, chosen: Namespace, extra: FitOptions) -> None:
    meant = [training for training in trainings(suite) if training in selection]
    tables = [sys.executable, "-m", "ee_lightning", "reproduce", chosen.suite, f"--root={chosen.root}"]
    tables += [
        flag for flag, is_set in (("--keep-going", chosen.keep_going), ("--no-clock", chosen.no_clock)) if is_set
    ]
    command = [*tables, "--runs-only"]
    if chosen.slurm is not None:
        options = fit_arguments(extra)
        write_slurm_array(chosen.slurm, suite, meant, [*command, *options], [*tables, *options])
        print(f"{len(meant)} trainings are written as a SLURM array: sbatch {chosen.slurm}")
    if chosen.wandb_sweep is not None:
        logged = FitOptions([configs_folder() / "trainer" / "wandb.yaml"]) + extra
        write_wandb_sweep(chosen.wandb_sweep, suite, meant, [*command, *fit_arguments(logged)])
        print(f"{len(meant)} trainings are written as a sweep: wandb sweep {chosen.wandb_sweep}")


def _options() -> Options:
    options = Options(
        prog="ee-lightning reproduce",
        usage="ee-lightning reproduce SUITE [OPTIONS]",
        description="Print the plan of a suite, bring its trainings to their end, and write its tables. Finished runs "
        "are not repeated, interrupted ones go on, and several such commands share the work.",
        epilog="All other options are those of fit, for every training: --data.root DIR, --model.backbone DIR, "
        "--trainer.accelerator cpu, --config FILE, …",
        allow_abbrev=False,
    )
    options.add_argument("suite", metavar="SUITE", help="the name of a shipped suite, such as smoke, or a YAML file")
    options.add_argument("--root", type=Path, default=Path("runs/reproduce"), help="folder of the runs and tables")
    options.add_argument(
        "--plan", action="store_true", help="print the plan, and do nothing; fails where the command would"
    )
    options.add_argument("--keep-going", action="store_true", help="run the rest where some can't be run")
    options.add_argument("--tasks", type=_words, help="run the trainings on these tasks only: RTE,MRPC")
    options.add_argument("--trainings", type=_words, help="run these trainings only: pabee,ours")
    options.add_argument("--seeds", type=_numbers, help="run the trainings by these seeds only: 1,2")
    options.add_argument("--no-clock", action="store_true", help="don't measure the rows' speed on the clock")
    options.add_argument("--runs-only", action="store_true", help="write no tables")
    options.add_argument(
        "--slurm", type=named_by_user, metavar="FILE", help="write a SLURM array of the trainings instead"
    )
    options.add_argument(
        "--wandb-sweep", type=named_by_user, metavar="FILE", help="write a W&B sweep of the trainings instead"
    )
    return options


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} are no whole numbers separated by commas") from error
