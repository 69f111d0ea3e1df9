"""The cells of a table beside what was published, and whether one row is better than another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from statistics import fmean

import pandas as pd
import torch
from torch import Tensor

from ee_lightning.analysis.comparison import Difference, bootstrap_differences, mean_difference, over_seeds
from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Oracle
from ee_lightning.reproduce.evaluation import VARIANTS, Evaluation, Outcome, Variant, name_of
from ee_lightning.reproduce.published import PublishedTable, published_table
from ee_lightning.reproduce.suite import Row, Suite

AVERAGE = "avg"
_ABOUT = ["task", "row", "variant"]
_FIGURES = ["score", "layer_speedup", "flops_speedup", "wall_speedup"]


@dataclass(frozen=True)
class Cell:
    """What a row reaches on a task, or on average: means over seeds, scores in percent; None for what is not known.

    Attributes:
        deviation: The sample standard deviation of the score; None for one seed.
        published: The published figure, in percent.
        is_best: Whether, of the rows that can be deployed and have the most seeds in this column, all others have a
            lower score, as printed.
    """

    score: float
    deviation: float | None
    num_seeds: int
    layer_speedup: float | None
    flops_speedup: float | None
    wall_speedup: float | None
    published: float | None = None
    is_best: bool = False

    @property
    def difference(self) -> float | None:
        """The score less the published figure, in points; None where nothing was published."""
        return None if self.published is None else self.score - self.published


@dataclass(frozen=True)
class Results:
    """A table of cells by row, column and variant; what was not measured is absent.

    The columns are the tasks, and if there are several their average.
    """

    suite: Suite
    columns: Sequence[str]
    cells: dict[tuple[Row, str, Variant], Cell]
    published: PublishedTable | None

    def cell(self, row: Row, column: str, variant: Variant) -> Cell | None:
        """Return a cell; None where nothing was measured."""
        return self.cells.get((row, column, variant))

    def leaders(self, column: str, variant: Variant) -> list[Row]:
        """Return the rows of the highest score in a column, as printed: several where they tie."""
        return _leaders({place[0]: cell for place, cell in self.cells.items() if place[1:] == (column, variant)})

    @property
    def num_seeds(self) -> int:
        """The most seeds of any cell."""
        return max((cell.num_seeds for cell in self.cells.values()), default=0)


def tabulate(found: Evaluation) -> Results:
    """Average what the rows reach over seeds and tasks.

    The average over tasks is the plain mean, as the paper has it: for each seed that all tasks have, then over these
    seeds. It is absent where a task is.
    """
    suite, tasks = found.suite, list(found.suite.tasks)
    published = None if suite.published is None else published_table(suite.published)
    outcomes = pd.DataFrame(
        [
            (task, suite.rows.index(row), variant, seed, *(getattr(outcome, figure) for figure in _FIGURES))
            for ((task, _, seed), row, variant), outcome in found.outcomes.items()
        ],
        columns=[*_ABOUT, "seed", *_FIGURES],
    )
    if len(tasks) > 1:
        by_seed = over_seeds(outcomes, [*_ABOUT[1:], "seed"], _FIGURES)  # over its tasks
        outcomes = pd.concat([outcomes, by_seed[by_seed["runs"] == len(tasks)].assign(task=AVERAGE)])
    cells: dict[tuple[Row, str, Variant], Cell] = {}
    for line in over_seeds(outcomes, _ABOUT, _FIGURES).sort_values(["row"], kind="stable").to_dict("records"):
        row, column, variant = suite.rows[line["row"]], line["task"], line["variant"]
        beside, figure = None if published is None else published.find(row.label, row.speedup), None
        if beside is not None:
            figure = beside.average_over(tasks) if column == AVERAGE else beside.scores.get(column)
        cells[row, column, variant] = Cell(
            score=100 * line["score"],
            deviation=_known(100 * line["score_std"]),
            num_seeds=line["runs"],
            layer_speedup=_known(line["layer_speedup"]),
            flops_speedup=_known(line["flops_speedup"]),
            wall_speedup=_known(line["wall_speedup"]),
            published=figure,
        )
    return Results(suite, [*tasks, AVERAGE] if len(tasks) > 1 else tasks, _with_best(cells), published)


def _known(figure: float) -> float | None:
    return None if isnan(figure) else figure


def _with_best(cells: dict[tuple[Row, str, Variant], Cell]) -> dict[tuple[Row, str, Variant], Cell]:
    columns: dict[tuple[str, Variant], dict[Row, Cell]] = {}
    for (row, column, variant), cell in cells.items():
        columns.setdefault((column, variant), {})[row] = cell
    leaders = {column: _leaders(of_column) for column, of_column in columns.items()}
    return {place: replace(cell, is_best=leaders[place[1:]] == [place[0]]) for place, cell in cells.items()}


def _leaders(column: Mapping[Row, Cell]) -> list[Row]:
    ranks = {
        row: (cell.num_seeds, round(cell.score, 1)) for row, cell in column.items() if row.criterion != Oracle.name
    }
    return [row for row, rank in ranks.items() if rank == max(ranks.values())]


@dataclass(frozen=True)
class Comparison:
    """A row, tested against another.

    Attributes:
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
    """Test the first row that the suite names in ``compare``, for both ways of choosing thresholds.

    It is tested against the second one, then against every other row that leaves early at the same stated speed-up.
    What has no results is left out. Runs of other rows of the data are not compared, and noted.
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
    by_task: dict[str, dict[int, Tensor]] = {}  # by seed, of shape [1 + resamples]
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
    of_all = [torch.stack([drawn[seed] for seed in common]) for drawn in by_task.values()] if common else []
    return Comparison(
        tested,
        other,
        variant,
        {task: mean_difference([torch.stack(list(drawn.values()))]) for task, drawn in by_task.items()},
        mean_difference(of_all) if of_all else None,
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
    tested, other = ([pair[place].layer_speedup for pair in pairs] for place in (0, 1))
    known = [figure for figure in (*tested, *other) if figure is not None]
    if not pairs or len(known) < 2 * len(pairs):
        return None
    return fmean(known[: len(pairs)]), fmean(known[len(pairs) :])
