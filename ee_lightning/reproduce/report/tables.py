"""A suite's tables, and them as Markdown and CSV."""

from collections.abc import Callable, Sequence

import pandas as pd

from ee_lightning.reproduce.evaluation import VARIANTS, Variant
from ee_lightning.reproduce.report.words import LETTERS, beside, p_value, score, signed, speeds
from ee_lightning.reproduce.results import Cell, Comparison, Results


def scores(results: Results, text: Callable[[Cell], str]) -> pd.DataFrame:
    """Lay out cells as they are printed: a line a row, and for every task both ways of choosing thresholds.

    Args:
        results: The cells.
        text: How a cell is written.
    """
    lines = [
        [text(cell) if (cell := results.cell(row, column, variant)) else "–" for column, variant in _columns(results)]
        for row in results.suite.rows
    ]
    index = pd.MultiIndex.from_tuples([(row.label, f"{row.speedup:g}x") for row in results.suite.rows])
    columns = pd.MultiIndex.from_tuples([(column, f"({LETTERS[variant]})") for column, variant in _columns(results)])
    return pd.DataFrame(lines, index.set_names(["method", "stated"]), columns)


def tests(results: Results, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Lay out the tests: a line for each other row and way of choosing thresholds."""
    lines = []
    for each in comparisons:
        differences = [
            each.average if column not in results.suite.tasks else each.by_task.get(column)
            for column in results.columns
        ]
        lines.append(
            [each.other.label, f"({LETTERS[each.variant]})"]
            + [
                f"{signed(found.value)} ({signed(found.low)} to {signed(found.high)}), {p_value(found)}, "
                f"{found.num_ahead}/{found.num_seeds}"
                if found is not None
                else "–"
                for found in differences
            ]
        )
    return pd.DataFrame(lines, columns=["against", "chosen", *results.columns])


def as_markdown(
    results: Results, comparisons: Sequence[Comparison], verdict: str, notes: Sequence[str], settings: pd.DataFrame
) -> str:
    """Write everything as Markdown."""

    def text(cell: Cell) -> str:
        return join(
            f"**{score(cell, results.num_seeds)}**" if cell.is_best else score(cell, results.num_seeds), beside(cell)
        )

    parts = [
        f"# {results.suite.title}",
        verdict,
        _markdown_table(_flat(scores(results, text))),
        "## Speed-ups reached: layers · FLOPs · clock",
        _markdown_table(_flat(scores(results, speeds))),
    ]
    if comparisons:
        parts += [f"## {title_of_tests(comparisons)}", _markdown_table(tests(results, comparisons))]
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    if len(settings):
        parts += ["## Trainings", _markdown_table(settings)]
    return "\n\n".join(parts) + "\n"


def as_csv(results: Results, comparisons: Sequence[Comparison]) -> str:
    """Write a line for every cell, scores in percent; the tests of a row stand with its cells, by what it is tested on.

    A row's first rival alone is among them: the second row of the suite's ``compare``.
    """
    tested = {
        (each.row, column, each.variant): (each.other.label, found)
        for each in reversed(comparisons)
        for column, found in [*each.by_task.items(), (results.columns[-1], each.average)]
        if found is not None
    }
    lines = []
    for (row, column, variant), cell in results.cells.items():
        against, found = tested.get((row, column, variant), (None, None))
        lines.append(
            {
                "suite": results.suite.name,
                "row": row.label,
                "training": row.training,
                "criterion": row.criterion,
                "stated_speedup": row.speedup,
                "task": column,
                "chosen_on": variant,
                "seeds": cell.num_seeds,
                "score": cell.score,
                "deviation": cell.deviation,
                "published": cell.published,
                "difference": cell.difference,
                "layer_speedup": cell.layer_speedup,
                "flops_speedup": cell.flops_speedup,
                "wall_speedup": cell.wall_speedup,
                "best": cell.is_best,
                "tested_against": against,
                "ahead_by": None if found is None else found.value,
                "p_value": None if found is None else found.p_value,
            }
        )
    return str(pd.DataFrame(lines).to_csv(index=False))


def title_of_tests(comparisons: Sequence[Comparison]) -> str:
    """Say what the tests show."""
    return f"{comparisons[0].row.label} against others: points ahead (95 % interval), p-value, seeds ahead"


def _columns(results: Results) -> list[tuple[str, Variant]]:
    return [(column, variant) for column in results.columns for variant in VARIANTS]


def join(*parts: str) -> str:
    """Put parts beside each other, without those that are empty."""
    return " ".join(filter(None, parts))


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis([" ".join(column) for column in table.columns], axis="columns").reset_index()


def _markdown_table(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
