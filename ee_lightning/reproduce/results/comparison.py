"""Whether one row is better than another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Oracle
from ee_lightning.reproduce.results.evaluation import Evaluation, Outcome, name_of
from ee_lightning.reproduce.results.paired_bootstrap import Difference, bootstrap_differences, summarise
from ee_lightning.reproduce.results.stored_run import VARIANTS, Variant
from ee_lightning.reproduce.suites.suite import Row


@dataclass(frozen=True)
class Comparison:
    """A row beside another.

    Attributes:
        row: The row that is tested.
        other: The row that it is tested against.
        variant: Where thresholds were chosen.
        by_task: On each task where both have a seed in common.
        average: Of the plain mean over these tasks, for the seeds that all of them have; None if there are none.
        speedups: What both reach by layers, the mean over these tasks and their seeds; None where one is not known.
    """

    row: Row
    other: Row
    variant: Variant
    by_task: Mapping[str, Difference]
    average: Difference | None
    speedups: tuple[float, float] | None


def compare(found: Evaluation) -> list[Comparison]:
    """Test a row against its rivals at the same stated speed-up, for both ways of choosing thresholds.

    Args:
        found: What the rows reach.

    Returns:
        Those of the first row that the suite names in ``compare``: against the second one, then against every other
        row that leaves early at the same stated speed-up. None for what has no results. Runs of other rows of the data
        are not compared, and noted.
    """
    if found.suite.compare is None:
        return []
    by_label = {row.label: row for row in reversed(found.suite.rows)}
    tested, rival = (by_label[label] for label in found.suite.compare)
    others = [
        row
        for row in found.suite.rows
        if row not in (tested, rival) and row.speedup == tested.speedup and row.criterion not in (None, Oracle.name)
    ]
    comparisons = [_compare(found, tested, other, variant) for other in (rival, *others) for variant in VARIANTS]
    return [comparison for comparison in comparisons if comparison.by_task]


def _compare(found: Evaluation, tested: Row, other: Row, variant: Variant) -> Comparison:
    by_task: dict[str, dict[int, Tensor]] = {}
    pairs: list[tuple[Outcome, Outcome]] = []
    for number, task in enumerate(found.suite.tasks):
        first, second = (found.of(task, row, variant) for row in (tested, other))
        if seeds := [seed for seed in first if seed in second and _of_same_rows(found, task, seed, tested, other)]:
            run = found.runs[task, tested.training, seeds[0]]
            pairs += [(first[seed], second[seed]) for seed in seeds]
            differences = bootstrap_differences(
                [first[seed].predictions for seed in seeds],
                [second[seed].predictions for seed in seeds],
                labels=run.exits.known_labels(),
                metric=run.metric,
                num_classes=run.exits.num_classes,
                seed=number,
            )
            by_task[task] = dict(zip(seeds, differences, strict=True))
    common = [seed for seed in found.suite.seeds if by_task and all(seed in drawn for drawn in by_task.values())]
    averages = [torch.stack([drawn[seed] for drawn in by_task.values()]).mean(0) for seed in common]
    return Comparison(
        tested,
        other,
        variant,
        {task: summarise(list(drawn.values())) for task, drawn in by_task.items()},
        summarise(averages) if averages else None,
        _speedups(pairs),
    )


def _of_same_rows(found: Evaluation, task: str, seed: int, tested: Row, other: Row) -> bool:
    keys = [(task, row.training, seed) for row in (tested, other)]
    of_first = next(run for key, run in found.runs.items() if key[0] == task)

    def check() -> bool:
        for key in keys:
            if not torch.equal(found.runs[key].exits.ids, of_first.exits.ids):
                raise RunFolderError("its exits are of other rows than those of the other runs on the task")
        return True

    return found.attempt(f"{name_of(keys[0])} beside {name_of(keys[1])}", check) is not None


def _speedups(pairs: Sequence[tuple[Outcome, Outcome]]) -> tuple[float, float] | None:
    known = [
        (first.layer_speedup, second.layer_speedup)
        for first, second in pairs
        if first.layer_speedup is not None and second.layer_speedup is not None
    ]
    if not known or len(known) < len(pairs):
        return None
    tested, other = zip(*known, strict=True)
    return fmean(tested), fmean(other)
