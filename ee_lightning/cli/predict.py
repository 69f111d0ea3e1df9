"""``ee-lightning predict``: labels for the rows of a file, or for the test split of a run's own task."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections import deque
from collections.abc import Iterator, Sequence
from os.path import realpath
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, get_args

from rich.console import Console
from rich.progress import Progress

from ee_lightning.cli.deployed import add_model, is_run, load, warn_of_threshold
from ee_lightning.cli.options import Options, up_to
from ee_lightning.data.row_files import open_row_file
from ee_lightning.errors import EarlyExitError, OptionError, listed
from ee_lightning.files import named_by_user
from ee_lightning.functional import Kind
from ee_lightning.inference import Deployment, EarlyExitPredictor
from ee_lightning.inference.encoder import Texts
from ee_lightning.inference.engine import Precision, Schedule
from ee_lightning.inference.input import InputRows
from ee_lightning.inference.output import PredictionFile, check_writable, writing
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions

if TYPE_CHECKING:
    from ee_lightning.cli.split_rows import OwnRows

ENOUGH = 10
"""Of how many texts on it is of note that all of them leave at the same exit."""
USUAL_COLUMNS = (("text",), ("sentence",))
"""What the one text of a row may be called where it isn't called as in the task."""


def run(arguments: Sequence[str]) -> None:
    """Predict the rows of a file, or of the test split, and write the predictions as they are made.

    Args:
        arguments: What follows the command's name.
    """
    options = Options(
        prog="ee-lightning predict",
        description="Label the rows of a file, or without --input the test split of the run's own task.",
    )
    add_model(options)
    options.add_argument(
        "--input", type=Path, metavar="FILE", help="rows of texts: .csv, .tsv, .jsonl, .txt or .parquet"
    )
    options.add_argument(
        "--output",
        type=named_by_user,
        metavar="FILE",
        help=".csv or .jsonl; for the test split RUN/predictions.csv if left out",
    )
    options.add_argument(
        "--text-columns", type=_names, metavar="A[,B]", help="what the file calls the texts, if not as the task"
    )
    options.add_argument(
        "--skip-bad-rows", action="store_true", help="leave out rows that can't be read, and list them"
    )
    options.add_argument("--trail", action="store_true", help="write the logits of all exits that a text passed")
    options.add_argument("--schedule", choices=get_args(Schedule), default="auto", help="order of the layers (auto)")
    options.add_argument("--batch-size", type=up_to(1_000_000), default=32, help="texts in a batch of depth_first (32)")
    options.add_argument("--precision", choices=get_args(Precision), default="fp32", help="of matrix products (fp32)")
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to run (auto)")
    chosen = options.read(arguments)
    output = _output(chosen)
    predictor = load(
        chosen,
        device=chosen.device,
        schedule=chosen.schedule,
        batch_size=chosen.batch_size,
        precision=chosen.precision,
        keep_trail=chosen.trail,
    )
    rows = _rows(chosen, predictor.deployment)
    with writing(
        output,
        is_regression=predictor.deployment.target.kind is Kind.REGRESSION,
        with_trail=chosen.trail,
        label_separator=predictor.deployment.label_separator,
    ) as file:
        _predict(predictor, rows, file)
    if not isinstance(rows, InputRows):
        print(f"ids: row numbers, from 0, in {listed(rows.files)}")
    elif rows.num_bad:
        print(f"{_counted(rows.num_bad, 'bad row')} left out:", *rows.bad, sep="\n  ")
        if rows.num_bad > len(rows.bad):
            print(f"  and {rows.num_bad - len(rows.bad)} more")
    print(f"saved: {output}")


def _output(chosen: Namespace) -> Path:
    """Return the file to write, after a check of all files, before anything is loaded."""
    if chosen.input is None:
        if not is_run(chosen.model):
            raise OptionError(
                "this is no run folder, and only a run has a test split of its own",
                where=chosen.model,
                hint="name a run folder, such as runs/demo/version_0, or give the rows with --input FILE",
            )
        if chosen.text_columns or chosen.skip_bad_rows:
            raise OptionError(
                "--text-columns and --skip-bad-rows are for a file", where="the command line", hint="give --input FILE"
            )
        output: Path = chosen.output or Path(chosen.model) / "predictions.csv"
    else:
        open_row_file(chosen.input)  # which checks that it can be read
        if chosen.output is None:
            raise OptionError("no place is named for the predictions", where="--output", hint="give --output FILE")
        output = chosen.output
        if realpath(output) == realpath(chosen.input) or (output.exists() and output.samefile(chosen.input)):
            raise OptionError("the input would be overwritten", where=f"--output {output}", hint="name another file")
    check_writable(output)
    return output


def _names(text: str) -> Texts:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ArgumentTypeError(f"{text!r} lacks the name of a column; write text, or sentence1,sentence2")
    return names


def _rows(chosen: Namespace, deployment: Deployment) -> "InputRows | OwnRows":
    if chosen.input is None:
        from ee_lightning.cli.split_rows import OwnRows  # which takes seconds to import

        return OwnRows(RunOptions.read(RunFolder(chosen.model)))
    choices: list[Texts] = [deployment.text_columns]
    if chosen.text_columns is not None:
        choices = [chosen.text_columns]
        if len(choices[0]) != len(deployment.text_columns):
            raise OptionError(
                f"{_counted(len(choices[0]), 'column')} named, and {deployment.task} takes "
                f"{_counted(len(deployment.text_columns), 'text')}",
                where=f"--text-columns {','.join(chosen.text_columns)}",
                hint="name a column for each text, separated by commas",
            )
    elif not deployment.takes_pairs:
        choices += USUAL_COLUMNS
    return InputRows(chosen.input, choices, skip_bad_rows=chosen.skip_bad_rows)


def _predict(predictor: EarlyExitPredictor, rows: "InputRows | OwnRows", file: PredictionFile) -> None:
    """Predict the rows, show how far it is, and say what it comes to, or where it broke off."""
    ids = deque[int]()

    def texts() -> Iterator[Texts]:
        for row in rows:
            ids.append(row.number)
            yield row.texts

    sum_of_exits, started, stream = 0, perf_counter(), predictor.stream(texts())
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("predicting", total=rows.size)
            for predictions in stream.chunks():
                file.write([ids.popleft() for _ in predictions], predictions)
                sum_of_exits += sum(prediction.exit_layer for prediction in predictions)
                progress.update(bar, completed=rows.done, description=f"{file.num_rows} texts")
    except (EarlyExitError, KeyboardInterrupt):
        done = f"{_counted(file.num_rows, 'row')} written to {file.path}" if file.num_rows else "nothing written"
        print(f"broken off: {done}", file=sys.stderr)
        raise
    seconds = perf_counter() - started
    num_exits = predictor.deployment.num_exits
    print(f"{_counted(file.num_rows, 'text')}, {file.num_rows / seconds:.0f} a second, by {predictor.deployment.rule}")
    if file.num_rows:
        mean_exit = sum_of_exits / file.num_rows
        print(f"mean exit {mean_exit:.2f} of {num_exits}: {num_exits / mean_exit:.2f}x faster by layers")
    if file.num_rows >= ENOUGH:
        warn_of_threshold(predictor.deployment.rule, mean_exit, num_exits, f"{file.num_rows} texts")
    if stream.num_cut:
        were = "was" if stream.num_cut == 1 else "were"
        print(f"{_counted(stream.num_cut, 'text')} {were} cut to {predictor.deployment.max_length} tokens")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
