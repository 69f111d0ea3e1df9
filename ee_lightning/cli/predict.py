"""``ee-lightning predict`` and ``save``: a trained model at work, and in a folder of its own."""

import sys
from collections import deque
from collections.abc import Iterator
from math import inf
from os.path import realpath
from pathlib import Path
from time import perf_counter
from typing import Annotated, Unpack

from pydantic import Field
from rich.console import Console
from rich.progress import Progress

from ee_lightning.analysis.choice import one_sided
from ee_lightning.cli.command import AtCommas, BatchSize, Device, File, Number, OutputFile
from ee_lightning.data.row_files import open_row_file
from ee_lightning.errors import EarlyExitError, OptionError, counted, listed
from ee_lightning.exits import replay
from ee_lightning.functional import Kind
from ee_lightning.inference import Deployment, EarlyExitPredictor
from ee_lightning.inference.engine import Precision, Schedule
from ee_lightning.inference.input import InputRows, OwnRows
from ee_lightning.inference.output import PredictionFile, check_writable, writing
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.inference.predictor import PredictorOptions
from ee_lightning.inference.texts import Texts
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions

ENOUGH = 10
"""Of how many texts on it is of note that all of them leave at the same exit."""
USUAL_COLUMNS = (("text",), ("sentence",))
"""What the one text of a row may be called where it isn't called as in the task."""

Model = Annotated[str, "RUN"]
Columns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], AtCommas, "A[,B]"]


def predict(
    model: Model,
    *,
    criterion: str | None = None,
    threshold: Number | None = None,
    input: File | None = None,
    output: OutputFile | None = None,
    text_columns: Columns | None = None,
    skip_bad_rows: bool = False,
    trail: bool = False,
    schedule: Schedule = "auto",
    batch_size: BatchSize = 32,
    precision: Precision = "fp32",
    device: Device = "auto",
) -> None:
    """Label the rows of a file, or without --input the test split of the run's own task.

    Args:
        model: A run folder, or what save wrote: its folder, or its name on the hub.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (those of the operating point).
        threshold: In the criterion's unit; inf lets nobody leave early.
        input: Rows of texts: .csv, .tsv, .jsonl, .txt or .parquet.
        output: A .csv or .jsonl file; for the test split RUN/predictions.csv if left out.
        text_columns: What the file calls the texts, if not as the task.
        skip_bad_rows: Leave out rows that can't be read, and list them.
        trail: Write the logits of all exits that a text passed.
        schedule: The order of the layers.
        batch_size: Texts in a batch, where the schedule is depth_first.
        precision: The precision of matrix products.
        device: Where to run.
    """
    checked = _own_output(model, output, text_columns, skip_bad_rows) if input is None else _output(input, output)
    check_writable(checked)
    predictor = _load(
        model,
        criterion,
        threshold,
        device=device,
        schedule=schedule,
        batch_size=batch_size,
        precision=precision,
        keep_trail=trail,
    )
    deployment = predictor.deployment
    if input is None:
        options = RunOptions.read(RunFolder(model))
        rows: InputRows | OwnRows = OwnRows(options.task, options.root)
    else:
        rows = InputRows(input, _choices(text_columns, deployment), skip_bad_rows=skip_bad_rows)
    is_regression = deployment.target.kind is Kind.REGRESSION
    with writing(
        checked, is_regression=is_regression, with_trail=trail, label_separator=deployment.label_separator
    ) as file:
        _predict(predictor, rows, file)
    if isinstance(rows, OwnRows):
        print(f"ids: row numbers, from 0, in {listed(rows.files)}")
    elif rows.num_bad:
        print(f"{counted(rows.num_bad, 'bad row')} left out:", *rows.bad, sep="\n  ")
        if rows.num_bad > len(rows.bad):
            print(f"  and {rows.num_bad - len(rows.bad)} more")
    print(f"saved: {checked}")


def save(model: Model, folder: str, *, criterion: str | None = None, threshold: Number | None = None) -> None:
    """Write a run's model, its tokenizer and its operating point into one folder.

    Args:
        model: A run folder, or what save wrote: its folder, or its name on the hub.
        folder: The folder to write.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (those of the operating point).
        threshold: In the criterion's unit; inf lets nobody leave early.
    """
    predictor = _load(model, criterion, threshold, device="cpu")
    predictor.save_pretrained(folder)
    rule, run = predictor.deployment.rule, RunFolder(model)
    print(f"early exit by {rule}")
    if (split := next(filter(run.has_exits, ("validation", "test")), None)) is not None:
        exits = run.read_exits(split)
        mean_exit = replay(rule.build(), exits).at(rule.threshold)[0].double().mean().item()
        _warn_of_threshold(rule, mean_exit, exits.num_exits, f"{exits.num_samples} samples of the split {split}")
    print(f"saved: {folder}")


def _is_run(model: str) -> bool:
    return RunFolder(model).config.is_file()


def _load(
    model: str, criterion: str | None, threshold: float | None, **others: Unpack[PredictorOptions]
) -> EarlyExitPredictor:
    make = EarlyExitPredictor.from_run if _is_run(model) else EarlyExitPredictor.from_pretrained
    return make(model, criterion=criterion, threshold=threshold, **others)


def _warn_of_threshold(rule: ExitPolicy, mean_exit: float, num_exits: int, samples: str) -> None:
    """Warn where a threshold that a user gave lets all samples leave at once, or none early; infinity is meant so."""
    is_meant = rule.operating_point is not None or rule.threshold == inf
    if not is_meant and (found := one_sided(mean_exit, num_exits, samples)):
        print(f"warning: {found}")


def _own_output(model: str, output: Path | None, text_columns: Texts | None, skip_bad_rows: bool) -> Path:
    """Return the file for the predictions of a run's own test split."""
    if not _is_run(model):
        raise OptionError(
            "this is no run folder, and only a run has a test split of its own",
            where=model,
            hint="name a run folder, such as runs/demo/version_0, or give the rows with --input FILE",
        )
    if text_columns or skip_bad_rows:
        raise OptionError(
            "--text-columns and --skip-bad-rows are for a file", where="the command line", hint="give --input FILE"
        )
    return output or Path(model) / "predictions.csv"


def _output(input: Path, output: Path | None) -> Path:
    """Return the file for the predictions of a file, which can be read."""
    open_row_file(input)  # which checks that it can be read
    if output is None:
        raise OptionError("no place is named for the predictions", where="--output", hint="give --output FILE")
    if realpath(output) == realpath(input) or (output.exists() and output.samefile(input)):
        raise OptionError("the input would be overwritten", where=f"--output {output}", hint="name another file")
    return output


def _choices(text_columns: Texts | None, deployment: Deployment) -> list[Texts]:
    """Return what the texts of a file may be called."""
    if text_columns is None:
        return [deployment.text_columns, *(() if deployment.takes_pairs else USUAL_COLUMNS)]
    if len(text_columns) != len(deployment.text_columns):
        raise OptionError(
            f"{counted(len(text_columns), 'column')} named, and {deployment.task} takes "
            f"{counted(len(deployment.text_columns), 'text')}",
            where=f"--text-columns {','.join(text_columns)}",
            hint="name a column for each text, separated by commas",
        )
    return [text_columns]


def _predict(predictor: EarlyExitPredictor, rows: InputRows | OwnRows, file: PredictionFile) -> None:
    """Predict the rows, show the progress, and print the result or where it broke off."""
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
        done = f"{counted(file.num_rows, 'row')} written to {file.path}" if file.num_rows else "nothing written"
        print(f"broken off: {done}", file=sys.stderr)
        raise
    seconds, deployment = perf_counter() - started, predictor.deployment
    print(f"{counted(file.num_rows, 'text')}, {file.num_rows / seconds:.0f} a second, by {deployment.rule}")
    if file.num_rows:
        num_exits, mean_exit = deployment.num_exits, sum_of_exits / file.num_rows
        print(f"mean exit {mean_exit:.2f} of {num_exits}: {num_exits / mean_exit:.2f}x faster by layers")
        if file.num_rows >= ENOUGH:
            _warn_of_threshold(deployment.rule, mean_exit, num_exits, f"{file.num_rows} texts")
    if stream.num_cut:
        were = "was" if stream.num_cut == 1 else "were"
        print(f"{counted(stream.num_cut, 'text')} {were} cut to {deployment.max_length} tokens")
