"""What the rows of a suite reach on its finished runs, by replay of their stored exits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from ee_lightning.errors import EarlyExitError
from ee_lightning.exits import Criterion, Fixed, replay
from ee_lightning.functional import weighted_scores
from ee_lightning.reporting import RunFolder
from ee_lightning.reproduce.results.costs import flops_speedup
from ee_lightning.reproduce.results.stored_run import VARIANTS, StoredRun, Variant
from ee_lightning.reproduce.suites.suite import Row, Suite

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
        layer_speedup: All layers of the whole backbone over the mean of those run; None where it can't be told.
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
        """Give the outcomes of a row on a task, by seed."""
        found = {seed: self.outcomes.get(((task, row.training, seed), row, variant)) for seed in self.suite.seeds}
        return {seed: outcome for seed, outcome in found.items() if outcome is not None}

    def runs_of(self, task: str, training: str) -> list[StoredRun]:
        """Give the runs of a training on a task, by seed."""
        keys = ((task, training, seed) for seed in self.suite.seeds)
        return [self.runs[key] for key in keys if key in self.runs]

    def attempt(self, where: str, work: Callable[[], _Found]) -> _Found | None:
        """Do what may fail by a mistake that its user can mend; then note it, and go on without.

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
            return flops_speedup(run.options, layers, run.num_tokens, exit_layers, judged=row.criterion is not None)

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
