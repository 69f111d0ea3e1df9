"""The cells of a table: means and deviations over seeds, beside what was published."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from ee_lightning.exits import Oracle
from ee_lightning.reproduce.published import PublishedTable, published_table
from ee_lightning.reproduce.results.evaluation import Evaluation, Outcome
from ee_lightning.reproduce.results.stored_run import VARIANTS, Variant
from ee_lightning.reproduce.suites.suite import Row, Suite

AVERAGE = "avg"


@dataclass(frozen=True)
class Cell:
    """What a row reaches on a task, or on average.

    Attributes:
        score: The mean over seeds, in percent.
        deviation: The sample standard deviation over seeds; None for one seed.
        num_seeds: Number of seeds.
        layer_speedup: The mean speed-up by layers; None where one is not known.
        flops_speedup: The mean speed-up by floating-point operations; None where one is not known.
        wall_speedup: The mean speed-up on the clock; None where one was not measured.
        published: The published figure, in percent; None where there is none.
        is_best: Whether, of the rows that can be deployed and have the most seeds in this column, none has a higher
            score, as printed.
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
    """A table of cells.

    Attributes:
        suite: The suite.
        columns: Its tasks, and if there are several their average.
        cells: By row, column and variant; what was not measured is absent.
        published: The table beside it; None if the suite names none.
    """

    suite: Suite
    columns: Sequence[str]
    cells: dict[tuple[Row, str, Variant], Cell]
    published: PublishedTable | None

    def cell(self, row: Row, column: str, variant: Variant) -> Cell | None:
        """Give a cell; None where nothing was measured."""
        return self.cells.get((row, column, variant))

    @property
    def num_seeds(self) -> int:
        """The most seeds of any cell."""
        return max((cell.num_seeds for cell in self.cells.values()), default=0)


def tabulate(found: Evaluation) -> Results:
    """Average what the rows reach over seeds and tasks.

    The average over tasks is the plain mean, as the paper has it: for each seed that all tasks have, then over these
    seeds. It is absent where a task is.

    Args:
        found: What the rows reach.

    Raises:
        OptionError: There is no published table of the name that the suite gives.
    """
    suite = found.suite
    tasks = list(suite.tasks)
    published = None if suite.published is None else published_table(suite.published)
    columns = [*tasks, AVERAGE] if len(tasks) > 1 else tasks
    cells: dict[tuple[Row, str, Variant], Cell] = {}
    for row in suite.rows:
        beside = None if published is None else published.find(row.label, row.speedup)
        for variant in VARIANTS:
            by_task = {task: found.of(task, row, variant) for task in tasks}
            for task, outcomes in by_task.items():
                if outcomes:
                    figure = None if beside is None else beside.scores.get(task)
                    cells[row, task, variant] = _cell([[outcome] for outcome in outcomes.values()], figure)
            common = [seed for seed in suite.seeds if all(seed in outcomes for outcomes in by_task.values())]
            if len(tasks) > 1 and common:
                of_seeds = [[by_task[task][seed] for task in tasks] for seed in common]
                figure = None if beside is None else beside.average_over(tasks)
                cells[row, AVERAGE, variant] = _cell(of_seeds, figure)
    return Results(suite, columns, _with_best(cells), published)


def _cell(by_seed: Sequence[Sequence[Outcome]], published: float | None) -> Cell:
    """Make a cell of the outcomes on one task or several, seed by seed."""
    scores = [100 * fmean(outcome.score for outcome in outcomes) for outcomes in by_seed]
    every = [outcome for outcomes in by_seed for outcome in outcomes]
    return Cell(
        score=fmean(scores),
        deviation=stdev(scores) if len(scores) > 1 else None,
        num_seeds=len(scores),
        layer_speedup=_mean(outcome.layer_speedup for outcome in every),
        flops_speedup=_mean(outcome.flops_speedup for outcome in every),
        wall_speedup=_mean(outcome.wall_speedup for outcome in every),
        published=published,
    )


def _mean(figures: Iterable[float | None]) -> float | None:
    known = list(figures)
    return None if None in known else fmean(figure for figure in known if figure is not None)


def _with_best(cells: dict[tuple[Row, str, Variant], Cell]) -> dict[tuple[Row, str, Variant], Cell]:
    best: dict[tuple[str, Variant], tuple[int, float]] = {}
    for (row, column, variant), cell in cells.items():
        if row.criterion != Oracle.name:
            own = cell.num_seeds, float(_printed(cell.score))
            best[column, variant] = max(best.get((column, variant), own), own)
    return {
        (row, column, variant): replace(
            cell,
            is_best=row.criterion != Oracle.name
            and (cell.num_seeds, float(_printed(cell.score))) == best[column, variant],
        )
        for (row, column, variant), cell in cells.items()
    }


def _printed(score: float) -> str:
    return f"{score:.1f}"
