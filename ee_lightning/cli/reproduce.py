"""``ee-lightning reproduce``: the missing trainings of a suite, and its tables."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from ee_lightning.cli.command import CommandParser, Numbers, OutputFile, Words
from ee_lightning.errors import EarlyExitError, OptionError
from ee_lightning.fit.signals import interruptible
from ee_lightning.packaged import configs_folder
from ee_lightning.reproduce.plan import PlannedRun, State, each_once, finished, plan
from ee_lightning.reproduce.progress import SuiteProgress, print_plan, say
from ee_lightning.reproduce.runner import Runner, write_slurm_array, write_wandb_sweep
from ee_lightning.reproduce.suite import (
    FitOptions,
    Selection,
    Suite,
    fit_arguments,
    load_suite,
    read_fit_arguments,
    trainings,
)


@dataclass(frozen=True)
class Options:
    """Print the plan of a suite, run its trainings, and write its tables.

    Finished runs are not repeated, interrupted ones go on, and several such commands share the work.

    All other options are those of fit, for every training: --data.root DIR, --model.backbone DIR, --trainer.accelerator
    cpu, --config FILE, …

    Args:
        suite: The name of a shipped suite, such as smoke, or a YAML file.
        root: Folder of the runs and tables.
        plan: Print the plan, and do nothing else; fails if the command would.
        keep_going: If some can't be run, run the rest.
        tasks: Run the trainings on these tasks only: RTE,MRPC.
        trainings: Run these trainings only: pabee,ours.
        seeds: Run the trainings with these seeds only: 1,2.
        no_clock: Don't measure the rows' speed on the clock.
        runs_only: Write no tables.
        slurm: Write a SLURM array of the trainings instead.
        wandb_sweep: Write a W&B sweep of the trainings instead.
    """

    suite: str
    root: Path = Path("runs/reproduce")
    plan: bool = False
    keep_going: bool = False
    tasks: Words | None = None
    trainings: Words | None = None
    seeds: Numbers | None = None
    no_clock: bool = False
    runs_only: bool = False
    slurm: OutputFile | None = None
    wandb_sweep: OutputFile | None = None


def parser() -> CommandParser:
    """Return the parser, which leaves ``--config`` to fit."""
    return CommandParser(Options, "reproduce", config=False, allow_abbrev=False)


def main(arguments: Sequence[str]) -> None:
    """Run the command with what follows its name; an `EarlyExitError` where some trainings can't be run, or failed."""
    own, others = parser().split(arguments)
    chosen = Options(**parser().read(own))
    extra = read_fit_arguments(others)
    given = load_suite(chosen.suite)
    suite = replace(given, trainings={name: fit + extra for name, fit in given.trainings.items()})
    selection = Selection(chosen.tasks, chosen.trainings, chosen.seeds)
    selection.check(suite)
    if chosen.plan and (chosen.slurm is not None or chosen.wandb_sweep is not None):
        raise OptionError("a plan writes nothing", where="--plan", hint="leave it out, or --slurm and --wandb-sweep")
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
    _write_results(suite, whole, meant, chosen, console)
    if failed or blocked:
        raise EarlyExitError(
            f"of {len(runs)} trainings {failed} failed, and {len(blocked)} can't be run",
            hint="the same command runs again what is not finished",
        )


def _plan(suite: Suite, chosen: Options, selection: Selection) -> list[PlannedRun]:
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


def _write_results(
    suite: Suite, whole: Sequence[PlannedRun], meant: Sequence[PlannedRun], chosen: Options, console: Console
) -> None:
    """Write the tables, measure the rows on the clock, and write the tables again with what that gave."""
    if chosen.runs_only and chosen.no_clock:
        return
    from ee_lightning.reproduce.evaluation import measure_rows  # these take seconds to import
    from ee_lightning.reproduce.report.tables import write_report

    tables = chosen.root / "tables" / suite.name
    if not chosen.runs_only:
        left_out = write_report(suite, finished(whole), tables)
        for problem in left_out if chosen.no_clock else ():  # else the clock says it
            say(console, f"left out: {problem}")
    measured = not chosen.no_clock and measure_rows(suite, finished(meant), chosen.root, console)
    if not chosen.runs_only:
        if measured:
            write_report(suite, finished(whole), tables)
        print(f"tables: {tables}")


def _bring_to_end(runs: Sequence[PlannedRun], console: Console, arguments: Sequence[str]) -> int:
    """Train what is not finished; print what failed and how to continue after an interrupt."""
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


def _write_for_cluster(suite: Suite, selection: Selection, chosen: Options, extra: FitOptions) -> None:
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
        logged = FitOptions((configs_folder() / "trainer" / "wandb.yaml",)) + extra
        write_wandb_sweep(chosen.wandb_sweep, suite, meant, [*command, *fit_arguments(logged)])
        print(f"{len(meant)} trainings are written as a sweep: wandb sweep {chosen.wandb_sweep}")
