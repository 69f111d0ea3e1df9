"""``ee-lightning submit``: the files that the GLUE server takes, from runs at their operating points."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Annotated
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from ee_lightning.cli.command import Adapter, Device, Number
from ee_lightning.data.tasks import TASKS
from ee_lightning.errors import DataError, OptionError, RunFolderError
from ee_lightning.exits.naming import spec_of
from ee_lightning.files import written_whole
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.inference.input import OwnRows
from ee_lightning.inference.policy import ExitPolicy
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint

ZIP = "submission.zip"
_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
_INFERENCE = ("entailment", "neutral", "contradiction")
_SCORES = (0.0, 5.0)
_MNLI = ("mnli", "mnli_mismatched")


@dataclass(frozen=True)
class ServerFile:
    """A file that the server takes: a line ``index<TAB>prediction``, then a line for each row of a test set.

    Attributes:
        name: Its name.
        task: The task whose test rows these are.
        rows: The official number of them.
        words: What the server takes for labels: the task's own words, or their numbers; none for scores.
        trained_on: By whose runs it may be predicted.
    """

    name: str
    task: str
    rows: int
    words: tuple[str, ...]
    trained_on: tuple[str, ...]

    def word(self, label: str | float, label_names: Sequence[str]) -> str:
        """Write a predicted label, the word for it or a value, as the server takes it."""
        if not self.words:
            if isnan(float(label)):
                raise DataError(
                    "a predicted value is not a number",
                    where=self.name,
                    hint="predict with a run whose training did not fail",
                )
            low, high = _SCORES
            return f"{min(max(float(label), low), high):.3f}"
        word = str(label) if self.words != _BINARY else str(list(label_names).index(str(label)))
        if word not in self.words:
            raise DataError(
                f"the GLUE server does not know the label {word!r}",
                where=self.name,
                hint=f"it takes {', '.join(self.words)}: predict with a run on the task {self.task}",
            )
        return word

    def check_rows(self, number: int, where: object) -> None:
        """Raise a `DataError` for another number of rows than the official one."""
        if number != self.rows:
            raise DataError(
                f"{self.name} needs {self.rows} rows, and the test split of {self.task} has {number}",
                where=where,
                hint="use the official test file, in its own order",
            )

    def write(self, folder: Path, words: Iterable[str], where: object) -> Path:
        """Write the labels, in the order of the test set, from a place that an error names."""
        lines = [f"{index}\t{word}" for index, word in enumerate(words)]
        self.check_rows(len(lines), where)
        with written_whole(folder / self.name) as file:
            file.write_text("\n".join(["index\tprediction", *lines]) + "\n", encoding="utf-8")
        return folder / self.name


SERVER_FILES = (
    ServerFile("CoLA.tsv", "cola", 1_063, _BINARY, ("cola",)),
    ServerFile("SST-2.tsv", "sst2", 1_821, _BINARY, ("sst2",)),
    ServerFile("MRPC.tsv", "mrpc", 1_725, _BINARY, ("mrpc",)),
    ServerFile("STS-B.tsv", "stsb", 1_379, (), ("stsb",)),
    ServerFile("QQP.tsv", "qqp", 390_965, _BINARY, ("qqp",)),
    ServerFile("MNLI-m.tsv", "mnli", 9_796, _INFERENCE, _MNLI),
    ServerFile("MNLI-mm.tsv", "mnli_mismatched", 9_847, _INFERENCE, _MNLI),
    ServerFile("QNLI.tsv", "qnli", 5_463, _ENTAILMENT, ("qnli",)),
    ServerFile("RTE.tsv", "rte", 3_000, _ENTAILMENT, ("rte",)),
    ServerFile("WNLI.tsv", "wnli", 146, _BINARY, ("wnli",)),
    ServerFile("AX.tsv", "ax", 1_104, _INFERENCE, _MNLI),
)
"""All that the server takes, in its order; runs of MNLI predict three."""


def write_zip(folder: Path, files: Iterable[Path]) -> Path:
    """Put files into a zip, without folders; the same files make the same zip."""
    with written_whole(folder / ZIP) as unfinished, ZipFile(unfinished, "w", ZIP_DEFLATED) as archive:
        for file in files:
            archive.writestr(ZipInfo(file.name), file.read_bytes(), ZIP_DEFLATED)
    return folder / ZIP


Planned = tuple[ServerFile, Path, OwnRows]


def submit(
    runs: Annotated[list[Path], "RUN"],
    *,
    output: Annotated[Path, "FOLDER"],
    criterion: str | None = None,
    threshold: Number | None = None,
    device: Device = "auto",
    adapter: Adapter | None = None,
) -> None:
    """Predict GLUE's test sets at the operating points of runs, and write the files for its server.

    All test sets and operating points are checked before anything is predicted.

    Args:
        runs: Run folders, one a task. Where 'ee-lightning choose' saved no operating point, give --criterion and
            --threshold.
        output: Where to write the files and their zip.
        criterion: For runs without an operating point, such as those of a regression: 'patience(tolerance=0.5)'.
            Without --threshold, the full name of your own criterion in operating points, such as my_module.MyCriterion.
        threshold: Its threshold, in the criterion's unit.
        device: Where to run.
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    load_adapter(adapter)
    if criterion is None and threshold is not None:
        raise OptionError(
            "a threshold is given without its criterion", where="--threshold", hint="give --criterion too"
        )
    spec = None if criterion is None else spec_of(criterion)  # which imports a class of your own
    rule = None if spec is None or threshold is None else ExitPolicy.given(spec, threshold)
    planned = _plan(runs, rule)
    written = [_predict(each, rule, device, output) for each in planned]
    print(f"saved: {write_zip(output, written)}")
    if missing := [file.name for file in SERVER_FILES if file.name not in {each.name for each in written}]:
        print(f"of the {len(SERVER_FILES)} files that the server takes these are not in it: {', '.join(missing)}")


def _plan(paths: Sequence[Path], rule: ExitPolicy | None) -> list[Planned]:
    """Find the files that runs can predict, and their rows, of the official number."""
    by_name: dict[str, Planned] = {}
    for path in paths:
        for file, rows in _files_of(path, rule):
            if (other := by_name.get(file.name)) is not None:
                raise OptionError(
                    f"two runs predict {file.name}", where=f"{other[1]} and {path}", hint="name one run for each task"
                )
            by_name[file.name] = (file, path, rows)
    return [by_name[file.name] for file in SERVER_FILES if file.name in by_name]


def _files_of(path: Path, rule: ExitPolicy | None) -> Iterator[tuple[ServerFile, OwnRows]]:
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
    if _has_point(path):
        OperatingPoint.read(path)
    elif rule is None:
        raise RunFolderError(
            "there is no operating point here",
            where=path,
            hint=f"choose one: ee-lightning choose {path} --criterion confidence --min-speedup 2; or give a rule, for "
            "regression --criterion 'patience(tolerance=0.5)' --threshold 1",
        )
    for file in files:
        try:
            rows = OwnRows(TASKS[file.task], options.root)
        except DataError as error:
            if file.task == own:
                hint = "put GLUE's test file there, or the run's data back to where its config.yaml says (data.root)"
                raise DataError(error.what, where=error.where, hint=hint) from error
            print(f"left out: {file.name}, as its rows are not there: {error.what}")
            continue
        file.check_rows(rows.size, where=options.root or options.task.hub_path)
        yield file, rows


def _has_point(path: Path) -> bool:
    return (path / OPERATING_POINT).is_file()


def _predict(planned: Planned, rule: ExitPolicy | None, device: str, folder: Path) -> Path:
    file, path, rows = planned
    if rule is None or _has_point(path):
        predictor = EarlyExitPredictor.from_run(path, device=device)
    else:
        predictor = EarlyExitPredictor.from_run(path, criterion=rule.criterion, threshold=rule.threshold, device=device)
    names, words, sum_of_layers = predictor.deployment.label_names, list[str](), 0
    layers = predictor.model.layers_of_exits
    for prediction in predictor.stream(row.texts for row in rows):
        assert not isinstance(prediction.label, list)  # as no task of GLUE has several labels
        words.append(file.word(prediction.label, names))
        sum_of_layers += layers[prediction.exit_layer - 1]
    speedup = layers[-1] * len(words) / sum_of_layers
    print(f"{file.name}: {len(words)} rows, {speedup:.2f}x faster by layers, by {predictor.deployment.rule} of {path}")
    return file.write(folder, words, where=path)
