"""``ee-lightning submit``: the files that the GLUE server takes, from runs at their operating points."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from ee_lightning.cli.command import Device
from ee_lightning.cli.split_rows import OwnRows
from ee_lightning.data.tasks import TASKS
from ee_lightning.errors import DataError, OptionError
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.reproduce.glue_server import SERVER_FILES, ServerFile, write_zip
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions
from ee_lightning.runs.operating_point import OperatingPoint

Planned = tuple[ServerFile, Path, OwnRows]


def run(runs: Annotated[list[Path], "RUN"], *, output: Annotated[Path, "FOLDER"], device: Device = "auto") -> None:
    """Predict GLUE's test sets at the operating points of runs, and write the files for its server.

    All test sets and operating points are looked at before anything is predicted.

    Args:
        runs: Run folders, one a task, in which 'ee-lightning choose' saved an operating point.
        output: Where to write the files and their zip.
        device: Where to run.
    """
    planned = _plan(runs)
    written = [_predict(each, device, output) for each in planned]
    print(f"saved: {write_zip(output, written)}")
    if missing := [file.name for file in SERVER_FILES if file.name not in {each.name for each in written}]:
        print(f"of the {len(SERVER_FILES)} files that the server takes these are not in it: {', '.join(missing)}")


def _plan(paths: Sequence[Path]) -> list[Planned]:
    """Find the files that runs can predict, and their rows, of the official number."""
    by_name: dict[str, Planned] = {}
    for path in paths:
        for file, rows in _files_of(path):
            if (other := by_name.get(file.name)) is not None:
                raise OptionError(
                    f"two runs predict {file.name}", where=f"{other[1]} and {path}", hint="name one run for each task"
                )
            by_name[file.name] = (file, path, rows)
    return [by_name[file.name] for file in SERVER_FILES if file.name in by_name]


def _files_of(path: Path) -> Iterator[tuple[ServerFile, OwnRows]]:
    """Return the files that a run can predict; of MNLI's three those whose rows are there, but at least its own."""
    options = RunOptions.read(RunFolder(path))
    own = options.task.name
    files = [file for file in SERVER_FILES if own in file.trained_on and file.task in TASKS]
    if not files:
        raise DataError(
            f"the task {own} is not one of GLUE's test sets",
            where=path,
            hint=f"name runs of {', '.join(dict.fromkeys(file.task for file in SERVER_FILES))}",
        )
    OperatingPoint.read(path)
    for file in files:
        try:
            rows = OwnRows(replace(options, task=TASKS[file.task]))
        except DataError as error:
            if file.task == own:
                raise
            print(f"left out: {file.name}, as its rows are not there: {error.what}")
            continue
        file.check_rows(rows.size, where=options.root or options.task.hub_path)
        yield file, rows


def _predict(planned: Planned, device: str, folder: Path) -> Path:
    file, path, rows = planned
    predictor = EarlyExitPredictor.from_run(path, device=device)
    names, words, sum_of_exits = predictor.deployment.label_names, list[str](), 0
    for prediction in predictor.stream(row.texts for row in rows):
        assert not isinstance(prediction.label, list)  # as no task of GLUE has several labels
        words.append(file.word(prediction.label, names))
        sum_of_exits += prediction.exit_layer
    speedup = predictor.deployment.num_exits * len(words) / sum_of_exits
    print(f"{file.name}: {len(words)} rows, {speedup:.2f}x faster by layers, by {predictor.deployment.rule} of {path}")
    return file.write(folder, words, where=path)
