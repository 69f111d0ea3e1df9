"""What the rows of a suite reach on its finished runs, by replay of their stored exits."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from ee_lightning.analysis.sweep import fit_criteria
from ee_lightning.errors import EarlyExitError, RunFolderError
from ee_lightning.exits import Criterion, Curve, Fitted, Fixed, StoredExits, replay, trace_curve
from ee_lightning.exits.naming import spec_of
from ee_lightning.files import reading
from ee_lightning.functional import best_point, halves, weighted_scores
from ee_lightning.reproduce.costs import Layers, flops_speedup, layers_of
from ee_lightning.reproduce.suite import Row, Split, Suite
from ee_lightning.runs.folder import SUMMARY, RunFolder
from ee_lightning.runs.load_run import RunOptions, evaluated_rows
from ee_lightning.runs.measured import MeasuredSpeed

DEV: Split = "validation"
Variant = Literal["dev", "held_out"]
"""Where a threshold is chosen: on the dev set, or on rows held out of training."""
VARIANTS: tuple[Variant, ...] = get_args(Variant)

CLOCK_BATCH = "32"
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A finished run.

    Attributes:
        folder: Its folder.
        split: Of which rows its scores are reported.
        exits: What its exits said of them, with labels.
        dev: What they said of the dev set, with labels.
        held_out: What they said of the rows held out of training; None if there are none.
        metric: The task's first.
        options: Of its model and data.
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
        """Read a run folder.

        Args:
            folder: The folder.
            split: Of which rows scores are reported.

        Raises:
            RunFolderError: Something is missing or damaged.
            DataError: The task is unknown.
        """
        figures = folder.read_figures(split)
        with reading(folder.path / SUMMARY, hint="run the training again"):
            metric = str(figures["metrics"][0])
        dev, held_out = folder.read_exits(DEV), folder.read_calibration()
        exits = dev if split == DEV else folder.read_exits(split)
        return cls(folder, split, exits, dev, held_out, metric, RunOptions.read(folder))

    @cached_property
    def layers(self) -> Layers:
        """The layers of its model.

        Raises:
            BackboneError: The backbone's configuration is needed and not available.
        """
        return layers_of(self.options, self.exits.num_exits)

    @cached_property
    def num_tokens(self) -> list[int]:
        """The number of tokens of each sample that is reported.

        Raises:
            EarlyExitError: The rows or the tokenizer are not available.
        """
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
        """Make a criterion, fitted on the first of the `halves` if it has to be.

        Raises:
            OptionError: There is none of that name, or it has to be fitted and no rows were held out.
        """
        made = spec_of(name).build()
        fit_criteria([made], None if self.halves is None else self.halves[0])
        return made

    def curve(self, criterion: Criterion) -> Curve:
        """Trace a criterion's curve on the rows that are reported."""
        return trace_curve(criterion, self.exits, [self.metric])

    def choose_threshold(self, criterion: Criterion, speedup: float, variant: Variant) -> float | None:
        """Choose the threshold with the best score among those that are at least so fast; of equals the fastest.

        Args:
            criterion: What `criterion` returns.
            speedup: All layers of the whole backbone over the mean of those run.
            variant: Where it is chosen.

        Returns:
            The threshold; None where no rows were held out to choose it on, or none is so fast.
        """
        exits = self._to_choose_on(criterion, variant)
        if exits is None:
            return None
        curve = trace_curve(criterion, exits, [self.metric])
        reached = self.layers.full / (self.layers.without_exit + curve.mean_exit)  # [points]
        chosen = best_point(curve.mean_exit, curve.scores[self.metric], allowed=reached >= speedup - _ROUNDING)
        return None if chosen is None else curve.thresholds[chosen].item()

    def wall_speedup(self, criterion: Criterion, threshold: float) -> float | None:
        """Return the speed-up on the clock at an operating point.

        Args:
            criterion: When to leave.
            threshold: In its unit.

        Returns:
            Of batches of 32, beside the whole backbone; None where none was measured at that threshold, or the file of
            the speeds is damaged.

        Raises:
            BackboneError: The backbone's configuration is needed and not available.
        """
        wanted = criterion.name, self.layers.full
        at_point = (
            each.wall_speedup
            for each in self.on_the_clock()
            if (each.criterion, each.full_layers) == wanted and math.isclose(each.threshold, threshold)
        )
        return next(at_point, None)

    def on_the_clock(self) -> list[MeasuredSpeed]:
        """Return what was measured of the split in batches of 32; nothing where the file is damaged."""
        try:
            measured = self.folder.read_speed().get(self.split, [])
        except RunFolderError:
            return []
        return [each for each in measured if each.batch_size == CLOCK_BATCH]

    def _to_choose_on(self, criterion: Criterion, variant: Variant) -> StoredExits | None:
        if variant == "dev":
            return self.dev
        if isinstance(criterion, Fitted):
            return None if self.halves is None else self.halves[1]
        return self.held_out


RunKey = tuple[str, str, int]
"""Of a run: the name of its column, of its training, and the seed."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a row gives on a run.

    Attributes:
        criterion: By which samples leave, fitted if it has to be; `Fixed` for a row without one.
        threshold: In its unit; for a row without a criterion the last exit.
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
    """All that was found on the runs of a suite.

    Attributes:
        suite: The suite.
        runs: Its finished runs that could be read.
        outcomes: By the run, the row and the variant; absent where there is none.
        problems: What is missing and why.
    """

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
        """Do what may fail by a mistake that its user can fix; then note it, and go on without.

        Args:
            where: What is done; if it failed before, it is not tried again.
            work: Does it.
        """
        if where in self._failed:
            return None
        try:
            return work()
        except EarlyExitError as error:
            self._failed.add(where)
            self.problems.append(f"{where}: {error.what}")
            return None


def evaluate(suite: Suite, folders: Mapping[RunKey, RunFolder]) -> Evaluation:
    """Replay the rows of a suite on its finished runs.

    Args:
        suite: The suite.
        folders: Its finished runs; others are left alone.

    Returns:
        What was found. What can't be read is left out, and noted.
    """
    found = Evaluation(suite)
    for task in suite.tasks:
        for name in dict.fromkeys(row.training for row in suite.rows):
            rows = [row for row in suite.rows if row.training == name]
            for key in ((task, name, seed) for seed in suite.seeds):
                read = partial(StoredRun.read, folders[key], suite.split) if key in folders else lambda: None
                if (run := found.attempt(name_of(key), read)) is not None:
                    found.runs[key] = run
                    _evaluate_rows(found, key, rows)
    return found


def _evaluate_rows(found: Evaluation, key: RunKey, rows: list[Row]) -> None:
    for row in rows:
        for variant in VARIANTS:
            where = f"{name_of(key)}, {row.label}"
            if (outcome := found.attempt(where, partial(_outcome, found, key, row, variant))) is not None:
                found.outcomes[key, row, variant] = outcome


def _outcome(found: Evaluation, key: RunKey, row: Row, variant: Variant) -> Outcome | None:
    run, about = found.runs[key], f"of {key[1]} on {key[0]}"
    labels = run.exits.known_labels()
    criterion, threshold = _operating_point(run, row, variant)
    if threshold is None:
        return None
    exit_layers, predictions = replay(criterion, run.exits).at(threshold)
    score = weighted_scores(predictions, labels, torch.ones(1, len(labels)), run.metric, run.exits.num_classes)
    by_layers = by_flops = on_clock = None
    if (layers := found.attempt(f"speed-ups {about}", lambda: run.layers)) is not None:
        by_layers, on_clock = layers.speedup(exit_layers), run.wall_speedup(criterion, threshold)

        def count() -> float:
            return flops_speedup(run.options, run.num_tokens, exit_layers, judged=row.criterion is not None)

        by_flops = found.attempt(f"FLOPs {about}", count)
    return Outcome(criterion, threshold, predictions, exit_layers, score.item(), by_layers, by_flops, on_clock)


def _operating_point(run: StoredRun, row: Row, variant: Variant) -> tuple[Criterion, float | None]:
    if row.criterion is None:
        return Fixed(), float(run.exits.num_exits)
    criterion = run.criterion(row.criterion)
    return criterion, run.choose_threshold(criterion, row.speedup, variant)


def name_of(key: RunKey) -> str:
    """Say which run it is."""
    task, training, seed = key
    return f"{training} on {task}, seed {seed}"
