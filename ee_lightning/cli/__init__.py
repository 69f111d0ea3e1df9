"""The command line: ``ee-lightning``, ``lightning`` and ``python -m ee_lightning`` are the same command."""

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from importlib import import_module
from pathlib import Path

from ee_lightning import __version__
from ee_lightning.cli.imports import without_collections
from ee_lightning.cli.streams import check_output, prepare_streams
from ee_lightning.errors import ERROR, USER_MISTAKES, EarlyExitError, as_mistake, did_you_mean
from ee_lightning.extras import as_missing_extra
from ee_lightning.fit.signals import INTERRUPTED, Terminated, die_of_termination, ended
from ee_lightning.terminal import wrapped

COMMANDS = {
    "fit": "train, then compute the curves of the best checkpoint",
    "validate": "compute the curves of a checkpoint on the validation split",
    "test": "compute the curves of a checkpoint on the test split",
    "curves": "compute the curves of a run again, without the model",
    "choose": "choose a threshold by a budget, with or without a guarantee",
    "speed": "measure operating points and the full model on the clock",
    "predict": "label a file, or the test split, at a run's operating point",
    "tables": "compare many runs in one table, over seeds",
    "fetch-run": "restore a run folder that was logged to W&B",
    "report": "write a page that shows a run, or several side by side",
    "explain": "print what every exit predicts for a row, and where the row leaves",
    "save": "write a run's model, tokenizer and operating point into one folder",
    "export": "write a model as ONNX graphs, which run without torch",
    "serve": "answer POST /predict with labels, for many clients at once",
    "tune": "run a sweep of trainings on this machine, with Optuna",
    "reproduce": "run a suite of trainings, and compare its tables with published ones",
    "submit": "predict GLUE's test sets, and write the files for its server",
}
LIGHTNING_CLI = ("fit", "validate", "test")
_SHARED = {"fetch-run": "tables"}
MODULES = {name: _SHARED.get(name, name) for name in COMMANDS if name not in LIGHTNING_CLI}
"""The module of each command that is a function."""

_HELP = """\
usage: ee-lightning COMMAND [--config FILE ...] [--OPTION VALUE ...]

Train, compare and deploy early-exit transformers.

commands:
{commands}

  ee-lightning COMMAND --help          lists the options of a command
  ee-lightning COMMAND --print_config  prints its options (not for reproduce)
  ee-lightning --print_completion bash prints what completes options (or zsh)
  ee-lightning --version

examples:
  ee-lightning fit --config demo
  ee-lightning fit --config demo --config pabee --trainer.max_epochs 1
  ee-lightning curves runs/demo/version_0 --criteria 'voting(k=0.5),soft_voting'
  ee-lightning choose runs/demo/version_0 --criterion voting --min-speedup 2
  ee-lightning speed runs/demo/version_0
  ee-lightning predict runs/demo/version_0 --input texts.csv --output labels.csv
  ee-lightning report runs/demo/version_0
  ee-lightning explain runs/demo/version_0 --text 'a gripping film'
  ee-lightning serve my-model --port 8000
  ee-lightning tune sweeps/lambda_grid.yaml
  ee-lightning tables runs --output tables.csv
  ee-lightning fetch-run ENTITY/PROJECT/RUN
  ee-lightning reproduce smoke --plan
  ee-lightning validate --ckpt_path runs/demo/version_0/checkpoints/last.ckpt
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with its options, those of the process if None.

    Returns:
        The exit status: 0, 1 after a mistake of the user, or 130 after an interrupt. A training that was asked to end
        by SIGTERM dies of it.
    """
    prepare_streams()
    try:
        try:
            if arguments is None:
                with suppress(OSError):  # where it is gone, the command says so
                    sys.path.append(str(Path.cwd()))  # your own modules; its name, as reading a file enters its folder
                _run(sys.argv[1:], importing=without_collections())
            else:
                _run(list(arguments), importing=nullcontext())
        except SystemExit:  # after --help and --print_config
            check_output()
            raise
        check_output()
    except USER_MISTAKES as error:
        print(wrapped(f"{ERROR}{as_mistake(error)}", sys.stderr), file=sys.stderr)
        return ended(1)
    except ImportError as error:
        if (missing := as_missing_extra(error)) is None:
            raise
        print(wrapped(f"{ERROR}{missing}", sys.stderr), file=sys.stderr)
        return ended(1)
    except Terminated:
        ended(INTERRUPTED)
        die_of_termination()
    except KeyboardInterrupt:
        return ended(INTERRUPTED)
    except Exception:
        atexit.register(ended, 1)  # after the traceback is printed, which W&B keeps too
        raise
    return ended(0)


def _run(arguments: Sequence[str], importing: AbstractContextManager[None]) -> None:
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(_HELP.format(commands="\n".join(f"  {name:<10}{what}" for name, what in COMMANDS.items())), end="")
        return
    if arguments[0] == "--version":
        print(f"ee_lightning {__version__}")
        return
    command, *options = arguments
    for place, argument in enumerate(arguments):
        if argument.partition("=")[0] == "--print_completion":
            shell = argument.partition("=")[2] or next(iter(arguments[place + 1 :]), "")
            import_module("ee_lightning.cli.command").print_completion(shell, COMMANDS)
            return
    if command not in COMMANDS:
        raise EarlyExitError(
            f"there is no command {command!r}",
            hint=f"{did_you_mean(command, COMMANDS)}use one of {', '.join(COMMANDS)}, before all options",
        )
    _check_working_folder()
    with importing:  # modules that take seconds to import are imported only when they are asked for
        if command in MODULES:
            import_module(f"ee_lightning.cli.{MODULES[command]}")
            run = partial(import_module("ee_lightning.cli.command").run_command, command, options)
        else:
            run = partial(import_module("ee_lightning.fit.command").run, arguments, COMMANDS[command])
    run()


def _check_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise EarlyExitError(
            f"the working folder can't be used: {error.strerror}",
            where=os.environ.get("PWD"),
            hint="it was deleted or moved: change to another folder (cd), and repeat the command",
        ) from error
