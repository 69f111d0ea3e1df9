"""``ee-lightning tune``: a sweep on this machine."""

from pathlib import Path
from typing import Annotated

from ee_lightning.cli.command import OutputFile, Repeats, Seed, Threads
from ee_lightning.errors import OptionError
from ee_lightning.extras import require_extra


def tune(
    sweep: Annotated[Path, "FILE"],
    *,
    folder: OutputFile | None = None,
    trials: Repeats | None = None,
    jobs: Threads = 1,
    seed: Seed = 0,
) -> None:
    """Run a sweep of trainings on this machine, by Optuna and without W&B.

    To continue a sweep that was stopped, repeat the command.

    Args:
        sweep: A file such as sweeps/lambda_grid.yaml.
        folder: Where the runs go, each with a folder of its own (sweeps-out/NAME, after the file).
        trials: How many trainings in all (left out: every one of a grid).
        jobs: How many trainings at a time.
        seed: The seed for the choice of options.
    """
    require_extra("optuna")
    from ee_lightning.tuning.study import FOLDER, Sweep
    from ee_lightning.tuning.sweep_file import SweepFile

    file, place = SweepFile.read(sweep), folder or Path("sweeps-out") / sweep.stem
    study = Sweep(file, place, seed=seed)
    if (number := trials or study.size) is None:
        hint = "give --trials NUMBER; a later command with a greater one goes on"
        raise OptionError(f"a {file.method} search has no end", where="--trials", hint=hint)
    study.run(number, jobs)
    finished = study.finished()
    if not finished:
        raise OptionError("no training was completed", where=place, hint="see fit.log in the folders of the trials")
    for trial in finished[:10]:
        options = " ".join(f"{name}={value}" for name, value in trial.params.items())
        print(f"{file.metric.name} {trial.value:.4f}  {trial.user_attrs[FOLDER]}  {options}")
    print(f"compare them: ee-lightning tables {place}")
