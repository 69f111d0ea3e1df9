"""``ee-lightning predict``: a trained model at work."""

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from math import inf
from os.path import realpath
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from rich.console import Console
from rich.progress import Progress

from ee_lightning.cli.command import (
    Adapter,
    AtCommas,
    BatchSize,
    Device,
    File,
    LayersOfExits,
    Number,
    OutputFile,
    Threads,
)
from ee_lightning.cli.models import Model, load_served
from ee_lightning.cli.scoring import score
from ee_lightning.data.row_files import is_standard_input, open_row_file
from ee_lightning.errors import EarlyExitError, OptionError, counted, listed
from ee_lightning.exits.placement import Layers, one_sided
from ee_lightning.functional import Kind
from ee_lightning.inference.input import InputRows, OwnRows, Row
from ee_lightning.inference.output import PredictionFile, check_writable, probabilities_of, writing
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.inference.schedule import Precision, Schedule
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.inference.texts import Texts
from ee_lightning.runtime.loading import is_run

if TYPE_CHECKING:
    from ee_lightning.inference.predictor import PredictorOptions

SILENCE = 30
"""After how many seconds the progress is printed again where there is no terminal."""
ENOUGH = 10
"""Of how many texts on it is of note that all of them leave at the same exit."""
BATCH_SIZE, WORKERS = 32, 2
"""The defaults of two options, which only one of the engines has."""

Columns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], AtCommas, "A[,B]"]


def predict(
    model: Model,
    *,
    criterion: str | None = None,
    threshold: Number | None = None,
    exits: LayersOfExits | None = None,
    input: File | None = None,
    output: OutputFile | None = None,
    text: str | None = None,
    pair: str | None = None,
    text_columns: Columns | None = None,
    skip_bad_rows: bool = False,
    probabilities: bool = False,
    trail: bool = False,
    schedule: Schedule = "auto",
    batch_size: BatchSize = BATCH_SIZE,
    precision: Precision = "fp32",
    device: Device = "auto",
    threads: Threads | None = None,
    engine: Literal["local", "ray"] = "local",
    workers: Threads = WORKERS,
    keep_order: bool = False,
    adapter: Adapter | None = None,
) -> None:
    """Label the rows of a file or one --text, or without either the test split of the run's own task.

    The output has all columns of the file, and those of the predictions.

    Args:
        model: A run folder, or what save or export wrote: its folder, or its name on the hub.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (left out: those of the operating point).
        threshold: In the criterion's unit; with inf no text leaves early.
        exits: Use only the exits after these layers, such as 3,6,9,12 (left out: those of the operating point).
        input: Rows of texts: .csv, .tsv, .jsonl, .txt or .parquet; - for lines of standard input, -.jsonl for rows.
        output: A .csv, .jsonl or .parquet file; for the test split RUN/predictions.csv if left out.
        text: One text, whose prediction is printed.
        pair: Its second text, for a task on two.
        text_columns: The columns of the texts in the file, if they have other names than in the task.
        skip_bad_rows: Leave out rows that can't be read, and list them.
        probabilities: Write the probabilities of all labels.
        trail: Write the logits of all exits that a text passed.
        schedule: The order in which layers and texts are computed.
        batch_size: Texts in a batch, if the schedule is depth_first.
        precision: The precision of matrix products.
        device: Where to run.
        threads: Threads that share an operation on the CPU (left out: as the library chooses).
        engine: With ray, many processes label a folder of Parquet files and write another folder; finished files stay.
        workers: The number of these processes.
        keep_order: Keep the order of the rows with --engine ray; processes may then wait for each other.
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    of_file = {
        **{"--input": input, "--output": output, "--text-columns": text_columns},
        **{"--skip-bad-rows": skip_bad_rows, "--trail": trail},
    }
    if engine == "ray":
        alone = {
            **{"--text": text, "--pair": pair, "--probabilities": probabilities, "--trail": trail},
            **{"--exits": exits, "--threads": threads, "--schedule": schedule != "auto"},
            **{"--batch-size": batch_size != BATCH_SIZE, "--precision": precision != "fp32"},
        }
        score(
            model,
            input,
            output,
            workers=workers,
            keeps_order=keep_order,
            others=alone,
            options={
                **{"criterion": criterion, "threshold": threshold, "text_columns": text_columns},
                **{"skip_bad_rows": skip_bad_rows, "device": device, "adapter": adapter},
            },
        )
        return
    for option, is_given in {"--workers": workers != WORKERS, "--keep-order": keep_order}.items():
        if is_given:
            raise OptionError("the option is for --engine ray", where=option, hint="give --engine ray, or leave it out")
    options: PredictorOptions = {
        **{"device": device, "schedule": schedule, "batch_size": batch_size, "precision": precision},
        "keep_trail": trail or probabilities,
    }
    checked: Path | None = None
    if text is not None or pair is not None:
        _check_one_text(text, {name: value for name, value in of_file.items() if value})
    else:
        checked = _own_output(model, output, text_columns, skip_bad_rows) if input is None else _output(input, output)
        check_writable(checked)
    predictor = load_served(model, criterion, threshold, exits, threads, adapter, **options)
    deployment = predictor.deployment
    kind = deployment.target.kind
    if probabilities and kind is Kind.REGRESSION:
        raise OptionError("values have no probabilities", where="--probabilities", hint="leave it out")
    if checked is None:
        _print_one(predictor, text or "", pair, probabilities=probabilities)
        return
    if input is None:
        rows: InputRows | OwnRows = _own_rows(model)
    else:
        rows = InputRows(input, deployment.choices(text_columns), skip_bad_rows=skip_bad_rows)
    names = deployment.label_names if probabilities else ()
    separator = deployment.label_separator
    with writing(
        checked, kind, with_trail=trail, names=names, label_separator=separator, header=lambda: rows.header
    ) as file:
        _predict(predictor, rows, file)
    if isinstance(rows, OwnRows):
        print(f"ids: row numbers, from 0, in {listed(rows.files)}")
    elif rows.num_bad:
        print(f"{counted(rows.num_bad, 'bad row')} left out:", *rows.bad, sep="\n  ")
        if rows.num_bad > len(rows.bad):
            print(f"  and {rows.num_bad - len(rows.bad)} more")
    print(f"saved: {checked}")


def _check_one_text(text: str | None, others: Mapping[str, object]) -> None:
    if text is None:
        raise OptionError("--pair is the second text of a row", where="the command line", hint="give --text too")
    if others:
        raise OptionError(
            f"--text is printed, without {listed(others)}", where="the command line", hint="give one of them"
        )


def _print_one(predictor: TextPredictor, text: str, pair: str | None, *, probabilities: bool) -> None:
    found, deployment = predictor(text, pair), predictor.deployment
    print(f"label: {said(found.label, deployment.label_separator)}")
    if found.probability is not None:
        shares = found.probability if isinstance(found.probability, list) else [found.probability]
        print(f"probability: {', '.join(f'{share:.4f}' for share in shares)}")
    if probabilities and found.trail:
        likely = probabilities_of(found.trail[-1], deployment.target.kind)
        print(*(f"  {name}: {share:.4f}" for name, share in zip(deployment.label_names, likely, strict=True)), sep="\n")
    print(f"exit: {found.exit_layer} of {deployment.num_exits}, by {deployment.rule} (score {found.score:.4g})")


def said(label: object, separator: str) -> str:
    """Return a label, several labels or a value as text."""
    if isinstance(label, list):
        return separator.join(label) or "(none)"
    return f"{label:.4g}" if isinstance(label, float) else str(label)


def warn_of_threshold(rule: ExitPolicy, mean_layers: float, layers_of_exits: Layers, samples: str) -> None:
    """Warn where a threshold that a user gave lets all samples leave at once, or none early; infinity is meant so."""
    is_meant = rule.operating_point is not None or rule.threshold == inf
    if not is_meant and (found := one_sided(mean_layers, layers_of_exits, samples)):
        print(f"warning: {found}")


def _own_output(model: str, output: Path | None, text_columns: Texts | None, skip_bad_rows: bool) -> Path:
    """Return the file for the predictions of a run's own test split."""
    if not is_run(model):
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


def _own_rows(model: str) -> OwnRows:
    from ee_lightning.runs.folder import RunFolder  # with torch, which exported models do without
    from ee_lightning.runs.load_run import RunOptions

    run = RunOptions.read(RunFolder(model))
    run.check_rows()
    return OwnRows(run.task, run.root)


def _output(input: Path, output: Path | None) -> Path:
    """Return the file for the predictions of a file, which can be read."""
    open_row_file(input)  # which checks that it can be read
    if output is None:
        raise OptionError("no place is named for the predictions", where="--output", hint="give --output FILE")
    is_file = not is_standard_input(input)
    if is_file and (realpath(output) == realpath(input) or (output.exists() and output.samefile(input))):
        raise OptionError("the input would be overwritten", where=f"--output {output}", hint="name another file")
    return output


def _predict(predictor: TextPredictor, rows: InputRows | OwnRows, file: PredictionFile) -> None:
    """Predict the rows, show the progress, and print the result or where it stopped."""
    taken = deque[Row]()

    def texts() -> Iterator[Texts]:
        for row in rows:
            taken.append(row)
            yield row.texts

    sum_of_exits = sum_of_layers = 0
    stream, console, layers = predictor.stream(texts()), Console(stderr=True), predictor.layers_of_exits
    started = said = perf_counter()
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("predicting", total=rows.size or None)
            for predictions in stream.chunks():
                file.write([taken.popleft() for _ in predictions], predictions)
                sum_of_exits += sum(prediction.exit_layer for prediction in predictions)
                sum_of_layers += sum(layers[prediction.exit_layer - 1] for prediction in predictions)
                progress.update(bar, completed=rows.done, description=f"{file.num_rows} texts")
                if not console.is_terminal and perf_counter() - said > SILENCE:
                    said, share = perf_counter(), f", {rows.done / rows.size:.0%} of the input" if rows.size else ""
                    print(f"{file.num_rows} texts{share}", file=sys.stderr)
    except (EarlyExitError, KeyboardInterrupt):
        done = f"{counted(file.num_rows, 'row')} written to {file.path}" if file.num_rows else "nothing written"
        print(f"stopped: {done}", file=sys.stderr)
        raise
    seconds, deployment = perf_counter() - started, predictor.deployment
    print(f"{counted(file.num_rows, 'text')}, {file.num_rows / seconds:.0f} a second, by {deployment.rule}")
    if file.num_rows:
        mean_exit, mean_layers = sum_of_exits / file.num_rows, sum_of_layers / file.num_rows
        print(f"mean exit {mean_exit:.2f} of {len(layers)}: {layers[-1] / mean_layers:.2f}x faster by layers")
        if file.num_rows >= ENOUGH:
            warn_of_threshold(deployment.rule, mean_layers, layers, f"{file.num_rows} texts")
    if file.left_out:
        lost = listed(sorted(file.left_out))
        print(f"warning: columns that the first row lacks are left out: {lost}; write a .jsonl to keep them")
    if file.num_empty:
        print(f"{counted(file.num_empty, 'row')} with an empty text: see the column 'empty'")
    if stream.num_cut:
        were = "was" if stream.num_cut == 1 else "were"
        print(f"{counted(stream.num_cut, 'text')} {were} cut to {deployment.max_length} tokens")
