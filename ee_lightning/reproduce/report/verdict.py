"""What the data say, in a sentence or two."""

from collections.abc import Sequence

from ee_lightning.reproduce.report.wording import FEW_SEEDS, counted, p_value, speed
from ee_lightning.reproduce.results.cells import Results
from ee_lightning.reproduce.results.comparison import Comparison
from ee_lightning.reproduce.results.paired_bootstrap import Difference
from ee_lightning.reproduce.results.stored_run import Variant

_CHOSEN_ON: dict[Variant, str] = {"dev": "the dev set", "held_out": "rows held out of training"}
_SIGNIFICANT = 0.05
_SAME_SPEED = 0.05


def verdict(results: Results, comparisons: Sequence[Comparison]) -> str:
    """Say in a sentence or two what the data say of the rows that the suite compares, honest variant first."""
    if not results.cells:
        return "No run of this suite has finished yet."
    if results.suite.compare is None:
        return _best(results)
    headline = [each for each in reversed(comparisons) if each.other.label == results.suite.compare[1]]
    if not headline:
        return f"{' and '.join(results.suite.compare)} have no finished runs of the same seed yet. {_best(results)}"
    return " ".join(_sentence(results, comparison) for comparison in headline)


def _sentence(results: Results, comparison: Comparison) -> str:
    by_task, chosen = comparison.by_task, f"With thresholds chosen on {_CHOSEN_ON[comparison.variant]}"
    tested, other = comparison.row.label, comparison.other.label
    if (difference := comparison.average) is None:
        return f"{chosen}, no seed has {tested} and {other} on all of {', '.join(by_task)}."
    num_tasks = len(results.suite.tasks)
    of_all = "" if len(by_task) == num_tasks else f" of {num_tasks}"
    on = f"on {next(iter(by_task))}" if num_tasks == 1 else f"on average over {len(by_task)}{of_all} tasks"
    side = "above" if difference.value > 0 else "below"
    by = f"{abs(difference.value):.1f} points {side} {other}" if difference.value else f"the same as {other}"
    ahead = f"ahead for {difference.num_ahead} of {counted(difference.num_seeds, 'seed')}"
    at = "" if comparison.speedups is None else f", at {' and '.join(speed(each) for each in comparison.speedups)}"
    told = _told(difference, comparison.speedups)
    return f"{chosen}, {tested} scores {by} {on}{at} ({p_value(difference)}, {ahead}): {told}."


def _told(difference: Difference, speedups: tuple[float, float] | None) -> str:
    if speedups is not None and max(speedups) / min(speedups) > 1 + _SAME_SPEED:
        return f"the speeds differ by more than {_SAME_SPEED:.0%}, so neither is called better".replace("%", " %")
    word = "better" if difference.value > 0 else "worse"
    if difference.num_seeds < FEW_SEEDS:
        on = f"on {'this' if difference.num_seeds == 1 else 'these'} {counted(difference.num_seeds, 'seed')}"
        return f"{on} it is {word}" if difference.p_value < _SIGNIFICANT else f"{on} the two are not told apart"
    return (
        f"the data say that it is {word}" if difference.p_value < _SIGNIFICANT else "the data do not tell the two apart"
    )


def _best(results: Results) -> str:
    column = results.columns[-1]
    best = [row.label for row in results.suite.rows if (cell := results.cell(row, column, "dev")) and cell.is_best]
    where = "on average" if len(results.suite.tasks) > 1 else f"on {column}"
    return f"The best score {where}, over {counted(results.num_seeds, 'seed')}: {' and '.join(best) or 'none yet'}."
