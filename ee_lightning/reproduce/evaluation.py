"""What the rows of a suite reach on its finished runs: by replay of their stored exits, and on the clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, get_args

import torch
from rich.console import Console
from torch import Tensor

from ee_lightning.analysis.budgets import ROUNDING
from ee_lightning.analysis.sweep import fit_criteria
from ee_lightning.errors import EarlyExitError, RunFolderError
from ee_lightning.exits import Criterion, Curve, Fitted, Fixed, Oracle, StoredExits, replay, trace_curve
from ee_lightning.exits.naming import spec_of
from ee_lightning.files import reading
from ee_lightning.functional import Target, first_least, halves, weighted_scores
from ee_lightning.inference import SpeedMeter, samples_of
from ee_lightning.inference.flops import FlopCounter
from ee_lightning.models import HeadOptions, model_of_shapes
from ee_lightning.models.backbones.loading import backbone_config
from ee_lightning.reporting import write_speed
from ee_lightning.reproduce.plan import locked_run
from ee_lightning.reproduce.progress import say
from ee_lightning.reproduce.suite import Row, Split, Suite
from ee_lightning.runs.figures import MeasuredSpeed
from ee_lightning.runs.folder import SPEED, SUMMARY, RunFolder
from ee_lightning.runs.load_run import RunOptions, evaluated_rows, load_run, whole_model

DEV: Split = "validation"
Variant = Literal["dev", "held_out"]
"""Where a threshold is chosen: on the dev set, or on rows held out of training."""
VARIANTS: tuple[Variant, ...] = get_args(Variant)
CLOCK_BATCH = "32"


class Layers(NamedTuple):
    """The layers of the whole backbone, and how many of a model the layer of its last exit lacks.

    Older releases did not store the layers: they count one where one exit alone stands after the last layer.
    """

    full: int
    uncounted: int

    def speedup(self, mean_exit: Tensor) -> Tensor:
        """Return all layers of the whole backbone over the mean of those run, by those counted, of any shape."""
        return self.full / (self.uncounted + mean_exit)


def layers_of(options: RunOptions, counted: int) -> Layers:
    """Count the layers of a run's model, whose last exit is stored as after the layer `counted`.

    Raises:
        BackboneError: The backbone's configuration is not available.
    """
    if options.heads.exits == "every" and options.num_layers is None:
        return Layers(counted, 0)
    full = int(backbone_config(options.backbone).num_hidden_layers)
    return Layers(full, (options.num_layers or full) - counted)


def flops_speedup(options: RunOptions, num_tokens: Sequence[int], exit_layers: Tensor, *, judged: bool) -> float:
    """Return the operations of the whole backbone with the last head alone over those of samples that leave early.

    Heads that are passed are counted, padding is not; see `FlopCounter`. Exits, [samples], count from 1. Unless they
    were judged, all samples leave at the last exit, and no other was asked.
    """
    whole, own = (
        _counter(options.backbone, num_layers, options.task.target, heads)
        for num_layers, heads in ((None, replace(options.heads, exits="last")), (options.num_layers, options.heads))
    )
    spent = own.of_exits(num_tokens, exit_layers.tolist()) if judged else own.of_full(num_tokens)
    return whole.of_full(num_tokens) / spent


@cache
def _counter(backbone: str, num_layers: int | None, target: Target, heads: HeadOptions) -> FlopCounter:
    return FlopCounter(model_of_shapes(backbone_config(backbone, num_layers), target, heads))


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A finished run: what its exits said of the rows that are reported, of the dev set, and of those held out.

    The metric is the task's first; ``held_out`` is None where no rows were held out of training.
    """

    folder: RunFolder
    split: Split
    exits: StoredExits
    dev: StoredExits
    held_out: StoredExits | None
    metric: str
    options: RunOptions

    @classmethod
    def read(cls, folder: RunFolder, split: Split = DEV) -> "StoredRun":
        """Read a run folder; a `RunFolderError` where it is damaged, a `DataError` where the task is unknown."""
        figures = folder.read_figures(split)
        with reading(folder.path / SUMMARY, hint="run the training again"):
            metric = str(figures["metrics"][0])
        dev, held_out = folder.read_exits(DEV), folder.read_calibration()
        exits = dev if split == DEV else folder.read_exits(split)
        return cls(folder, split, exits, dev, held_out, metric, RunOptions.read(folder))

    @cached_property
    def layers(self) -> Layers:
        """The layers of its model, see `layers_of`."""
        return layers_of(self.options, self.exits.layers_of_exits[-1])

    @cached_property
    def num_tokens(self) -> list[int]:
        """The number of tokens of each sample that is reported; an `EarlyExitError` without its rows."""
        rows = evaluated_rows(self.options.rows().of(self.split), self.exits)
        return list(rows["length"][:])

    @cached_property
    def halves(self) -> tuple[StoredExits, StoredExits] | None:
        """Halves of the rows held out of training: one to fit a criterion on, one to choose its threshold on."""
        if self.held_out is None or self.held_out.num_samples < 2:
            return None
        first, second = (self.held_out.select(half) for half in halves(self.held_out.num_samples, seed=0))
        return first, second

    def criterion(self, name: str) -> Criterion:
        """Make a criterion, fitted on the first of the `halves` if it has to be; an `OptionError` without these."""
        made = spec_of(name).build()
        fit_criteria([made], None if self.halves is None else self.halves[0])
        return made

    def curve(self, criterion: Criterion) -> Curve:
        """Trace a criterion's curve on the rows that are reported."""
        return trace_curve(criterion, self.exits, [self.metric])

    def choose_threshold(self, criterion: Criterion, speedup: float, variant: Variant) -> float | None:
        """Choose the threshold with the best score among those that are at least so fast; of equals the fastest.

        The speed-up is all layers of the whole backbone over the mean of those run. None where no rows were held out to
        choose the threshold on, or none is so fast.
        """
        exits = self.dev if variant == "dev" else self.held_out
        if variant == "held_out" and isinstance(criterion, Fitted):
            exits = None if self.halves is None else self.halves[1]
        if exits is None:
            return None
        curve = trace_curve(criterion, exits, [self.metric])
        is_fast = self.layers.speedup(curve.mean_exit) >= speedup - ROUNDING  # [points]
        chosen = first_least(is_fast, -curve.scores[self.metric], curve.mean_exit)
        return None if chosen is None else curve.thresholds[chosen].item()

    def wall_speedup(self, criterion: Criterion, threshold: float) -> float | None:
        """Return the speed-up on the clock at an operating point, beside the whole backbone; None if not measured."""
        at_point = (
            each.wall_speedup
            for each in self.on_the_clock()
            if (each.criterion, each.full_layers) == (criterion.name, self.layers.full) and each.threshold == threshold
        )
        return next(at_point, None)

    def on_the_clock(self) -> list[MeasuredSpeed]:
        """Return what was measured of the split in batches of 32; nothing where the file is damaged."""
        try:
            measured = self.folder.read_speed().get(self.split, [])
        except RunFolderError:
            return []
        return [each for each in measured if each.batch_size == CLOCK_BATCH]


RunKey = tuple[str, str, int]
"""The names of a run's column and of its training, and its seed."""
_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a row gives on a run; a row without a criterion has `Fixed` at the last exit.

    Attributes:
        criterion: By which samples leave, fitted if it has to be.
        threshold: In its unit.
        predictions: Class numbers, or values for regression, in the order of the ids, of shape [samples].
        exit_layers: The number of the exit where each sample leaves, from 1, of shape [samples].
        score: The task's first metric, as a share (1 is 100 points).
        layer_speedup: All layers of the whole backbone over the mean of those run; None if it is not known.
        flops_speedup: The same of floating-point operations.
        wall_speedup: The same on the clock; None where it was not measured at this operating point.
    """

    criterion: Criterion
    threshold: float
    predictions: Tensor
    exit_layers: Tensor
    score: float
    layer_speedup: float | None
    flops_speedup: float | None
    wall_speedup: float | None


@dataclass
class Evaluation:
    """All that was found on the finished runs of a suite, and what is missing and why."""

    suite: Suite
    runs: dict[RunKey, StoredRun] = field(default_factory=dict)
    outcomes: dict[tuple[RunKey, Row, Variant], Outcome] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _failed: set[str] = field(default_factory=set)

    def of(self, task: str, row: Row, variant: Variant) -> dict[int, Outcome]:
        """Return the outcomes of a row on a task, by seed."""
        found = {seed: self.outcomes.get(((task, row.training, seed), row, variant)) for seed in self.suite.seeds}
        return {seed: outcome for seed, outcome in found.items() if outcome is not None}

    def runs_of(self, task: str, training: str) -> list[StoredRun]:
        """Return the runs of a training on a task, by seed."""
        keys = ((task, training, seed) for seed in self.suite.seeds)
        return [self.runs[key] for key in keys if key in self.runs]

    def attempt(self, where: str, work: Callable[[], _Found]) -> _Found | None:
        """Do what may fail by a mistake of the user; then note where, go on without, and don't try it again."""
        if where in self._failed:
            return None
        try:
            return work()
        except EarlyExitError as error:
            self._failed.add(where)
            self.problems.append(f"{where}: {error.what}")
            return None


def evaluate(suite: Suite, folders: Mapping[RunKey, RunFolder]) -> Evaluation:
    """Replay the rows of a suite on its finished runs; what can't be read is left out, and noted."""
    found = Evaluation(suite)
    names = dict.fromkeys(row.training for row in suite.rows)
    for key in product(suite.tasks, names, suite.seeds):
        read = partial(StoredRun.read, folders[key], suite.split) if key in folders else lambda: None
        if (run := found.attempt(name_of(key), read)) is None:
            continue
        found.runs[key] = run
        for row, variant in product([row for row in suite.rows if row.training == key[1]], VARIANTS):
            work = partial(_outcome, found, key, row, variant)
            if (outcome := found.attempt(f"{name_of(key)}, {row.label}", work)) is not None:
                found.outcomes[key, row, variant] = outcome
    return found


def _outcome(found: Evaluation, key: RunKey, row: Row, variant: Variant) -> Outcome | None:
    run, about = found.runs[key], f"of {key[1]} on {key[0]}"
    labels = run.exits.known_labels()
    criterion: Criterion = Fixed()
    threshold: float | None = float(run.exits.num_exits)
    if row.criterion is not None:
        criterion = run.criterion(row.criterion)
        threshold = run.choose_threshold(criterion, row.speedup, variant)
    if threshold is None:
        return None
    exit_layers, predictions = replay(criterion, run.exits).at(threshold)
    score = weighted_scores(predictions, labels, torch.ones(1, len(labels)), run.metric, run.exits.num_classes)
    by_layers = by_flops = on_clock = None
    if (layers := found.attempt(f"speed-ups {about}", lambda: run.layers)) is not None:
        by_layers = layers.speedup(run.exits.layers_run(exit_layers).double().mean()).item()
        on_clock = run.wall_speedup(criterion, threshold)

        def count() -> float:
            return flops_speedup(run.options, run.num_tokens, exit_layers, judged=row.criterion is not None)

        by_flops = found.attempt(f"FLOPs {about}", count)
    return Outcome(criterion, threshold, predictions, exit_layers, score.item(), by_layers, by_flops, on_clock)


def name_of(key: RunKey) -> str:
    """Say which run it is."""
    task, training, seed = key
    return f"{training} on {task}, seed {seed}"


_REPEATS = 2
_Points = dict[tuple[str, float], Criterion]


def measure_rows(suite: Suite, folders: Mapping[RunKey, RunFolder], root: Path, console: Console) -> bool:
    """Measure the operating points of a suite's rows that were not measured yet, and write them into the run folders.

    Runs that another process is at are left to it. Failures are reported, and stop nothing. A file of speeds
    that can't be read is deleted, and written again. Returns whether something was measured.
    """
    found, done = evaluate(suite, folders), False
    to_measure: dict[Path, tuple[RunKey, _Points]] = {}  # by folder, which trainings of the same options share
    for key, run in found.runs.items():
        if points := _points(found, key):
            to_measure.setdefault(run.folder.path, (key, {}))[1].update(points)
    for number, (key, points) in enumerate(to_measure.values(), 1):
        run = found.runs[key]
        with locked_run(root, run.folder.path.parent.name.rpartition("-")[2]) as lock:
            if lock is not None:
                task, training, seed = key
                say(console, f"on the clock [{number}/{len(to_measure)}]: {task}, {training}, seed {seed}")
                measure = partial(_measure, run, points, console)
                done |= found.attempt(f"the clock of {name_of(key)}", measure) is not None
    for problem in found.problems:
        say(console, f"not measured: {problem}")
    return done


def _points(found: Evaluation, key: RunKey) -> _Points:
    """Return the operating points on a run that were not measured yet."""
    return {
        (outcome.criterion.name, outcome.threshold): outcome.criterion
        for (of_run, row, _), outcome in found.outcomes.items()
        if of_run == key and row.criterion != Oracle.name and outcome.wall_speedup is None
    }


def _measure(run: StoredRun, points: _Points, console: Console) -> bool:
    file, before = run.folder.path / SPEED, list[MeasuredSpeed]()
    try:
        before = run.folder.read_speed().get(run.split, [])
    except RunFolderError as error:
        file.unlink(missing_ok=True)
        say(console, f"deleted, and measured again: {file}: {error.what}")
    if all(run.wall_speedup(criterion, threshold) for (_, threshold), criterion in points.items()):
        return True  # by another runner, since the rows were looked at
    model, rows = load_run(run.folder, run.split)
    samples = samples_of(evaluated_rows(rows, run.exits)[:])
    full = whole_model(run.options)
    meter = SpeedMeter(model, samples, batch_sizes=[int(CLOCK_BATCH)], repeats=_REPEATS, pool=False, full=full)
    criteria = {criterion.name for criterion in points.values()}
    measured = [each for each in before if each.criterion in criteria]
    for (_, threshold), criterion in points.items():
        measured += meter.measure(criterion, threshold)
    write_speed(run.folder, run.split, measured)
    return True
