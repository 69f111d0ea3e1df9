"""The command line: ``ee-lightning``, ``lightning`` and ``python -m ee_lightning`` are the same command."""

import atexit
import sys
from collections.abc import Sequence
from importlib import import_module

from ee_lightning import __version__
from ee_lightning.cli.ending import INTERRUPTED, Terminated, die_of_termination, ended
from ee_lightning.errors import EarlyExitError

COMMANDS = {
    "fit": "train, then sweep the exits of the best checkpoint",
    "validate": "sweep the exits of a checkpoint on the validation split",
    "test": "sweep the exits of a checkpoint on the test split",
    "curves": "replay a run folder's stored exits, without a model",
    "choose": "choose a threshold by a budget, with or without a guarantee",
    "speed": "measure operating points on the clock, beside the full model",
    "predict": "label a file, or the test split, by a run's operating point",
    "tables": "compare many runs in one table, over seeds",
    "fetch-run": "restore a run folder that was logged to W&B",
    "save": "write a run's model, tokenizer and operating point into one folder",
    "reproduce": "run a suite of trainings, and set its tables beside published ones",
    "submit": "predict GLUE's test sets, and write the files for its server",
}
WITHOUT_LIGHTNING_CLI = ("curves", "choose", "speed", "predict", "save", "tables", "fetch-run", "reproduce", "submit")

_HELP = """\
usage: ee-lightning COMMAND [--config FILE ...] [--OPTION VALUE ...]

Train, compare and deploy early-exit transformers.

commands:
{commands}

  ee-lightning COMMAND --help          lists the options of a command
  ee-lightning COMMAND --print_config  prints its configuration, resolved
  ee-lightning --version

examples:
  ee-lightning fit --config configs/demo.yaml
  ee-lightning fit --config configs/demo.yaml --config configs/tasks/rte.yaml \\
      --model.objective.diversity_weight 0.2
  ee-lightning curves runs/demo/version_0 --criteria 'voting(k=1),soft_voting'
  ee-lightning choose runs/demo/version_0 --criterion voting --min-speedup 2
  ee-lightning speed runs/demo/version_0
  ee-lightning predict runs/demo/version_0 --input texts.csv --output labels.csv
  ee-lightning tables runs --output tables.csv
  ee-lightning fetch-run ENTITY/PROJECT/RUN
  ee-lightning reproduce smoke --plan
  ee-lightning validate --config runs/demo/version_0/config.yaml \\
      --ckpt_path runs/demo/version_0/checkpoints/last.ckpt
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command and its options; None takes those of the process.

    Returns:
        The exit status: 0, 1 after a mistake of the user, or 130 after an interrupt. Options that can't be parsed exit
        with 2. A training that was asked to end by SIGTERM dies of it.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(_HELP.format(commands="\n".join(f"  {name:<10}{what}" for name, what in COMMANDS.items())), end="")
        return 0
    if arguments[0] == "--version":
        print(f"ee_lightning {__version__}")
        return 0
    try:
        if arguments[0] not in COMMANDS:
            raise EarlyExitError(
                f"there is no command {arguments[0]!r}", mend=f"use one of {', '.join(COMMANDS)}, before all options"
            )
        command, *options = arguments  # modules that take seconds to import are imported when they are asked for
        if command in WITHOUT_LIGHTNING_CLI:
            import_module(f"ee_lightning.cli.{command.replace('-', '_')}").run(options)
        else:
            import_module("ee_lightning.cli.lightning").run(arguments)
    except EarlyExitError as error:
        print(f"error: {error}", file=sys.stderr)
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
