"""How every figure came about."""

from collections.abc import Sequence

from ee_lightning.exits import Fitted, Oracle
from ee_lightning.operating import recipe_of
from ee_lightning.reproduce.published import PublishedTable
from ee_lightning.reproduce.report.settings import diversity_weights, settings, spelt_out
from ee_lightning.reproduce.report.wording import FEW_SEEDS, counted, reported
from ee_lightning.reproduce.results.cells import Results
from ee_lightning.reproduce.results.comparison import Comparison
from ee_lightning.reproduce.results.evaluation import Evaluation
from ee_lightning.reproduce.results.paired_bootstrap import LEVEL, RESAMPLES
from ee_lightning.reproduce.results.stored_run import DEV


def footnotes(found: Evaluation, results: Results, comparisons: Sequence[Comparison]) -> list[str]:
    """Say how every figure came about, and what was chosen where the paper leaves something open."""
    suite, metrics = found.suite, _metrics(found)
    rows, is_dev = reported(suite), suite.split == DEV
    criteria = {row.label: row.criterion for row in suite.rows if row.criterion is not None}
    notes = [
        f"Scores on {rows} ({suite.split} split) in percent: {', '.join(f'{t} {m}' for t, m in metrics.items())}. "
        f"Mean ± sample standard deviation over {counted(results.num_seeds, 'seed')}; a cell of fewer says so. Bold: "
        "the best of its column among those of the most seeds.",
        f"(a) The threshold is chosen on the dev set{' itself, as papers report it' if is_dev else ''}: of all "
        "operating points that are at least as fast there as stated, by layers, the one with the best score, of equals "
        "the fastest. The paper's own rule is not known. No grid of thresholds: every threshold that changes an "
        f"outcome is a candidate.{_held_out(found)}",
        f"(b) The threshold is chosen by the same rule on rows held out of training, and applied to {rows}"
        f"{': the honest variant' if is_dev else ''}. The speed-up reached there may miss the stated one.",
        f"Checkpoints are chosen on the dev set ({_monitors(found)}), in both variants.",
        "Rows without a criterion read the last exit: nothing is chosen, and (a) and (b) are the same.",
        "Speed-up by layers: all layers of the whole backbone / mean of those executed. By FLOPs: those of the whole "
        "backbone with its last head over those spent, heads passed included, without padding. On the clock: by "
        "the engine in batches of 32, at the very thresholds of the cell, beside the plain model of all layers, of up "
        f"to 256 samples{_clock(found)}; – where nothing was measured. The engine takes samples of like length "
        "together: what that gives is in all rows, and alone in one that runs all layers.",
    ]
    if len(suite.tasks) > 1:
        notes.append(
            "avg: the plain mean over the tasks, seed by seed, as the paper averages; only where all tasks are there. "
            "Its speed-ups are plain means too. The tests' average is over the tasks that both rows have."
        )
    if comparisons:
        notes.append(
            f"Tests: two-sided paired bootstrap over the samples of {rows} and over the seeds ({RESAMPLES} resamples "
            f"of both), of the difference averaged over seeds; {100 * LEVEL:g} % intervals. It speaks of other samples "
            f"and other seeds, of which fewer than {FEW_SEEDS} say little, and is not corrected for the "
            "number of tests."
        )
    if chosen := ", ".join(f"{label}: {spelt_out(name)}" for label, name in criteria.items()):
        notes.append(f"Criteria with all their options: {chosen}.")
    if weights := ", ".join(f"{training} {weight}" for training, weight in diversity_weights(found).items()):
        notes.append(f"Weight λ of the diversity term by training, which the paper does not state per task: {weights}.")
    if any(isinstance(recipe_of(name).build(), Fitted) for name in criteria.values()):
        notes.append(
            "Criteria that learn something are fitted on one half of the rows held out, drawn at random; (b) chooses "
            "their threshold on the other half."
        )
    if Oracle.name in criteria.values():
        notes.append("The oracle reads the labels: an upper bound, not a method.")
    return [*notes, *_of_published(found, results, metrics), *(f"Left out: {problem}." for problem in found.problems)]


def _metrics(found: Evaluation) -> dict[str, str]:
    return {task: run.metric for (task, _, _), run in found.runs.items()}


def _held_out(found: Evaluation) -> str:
    """Tell how many rows no training sees; of how many is estimated from the places of those drawn."""
    by_task = {
        task: len(ids) / ((int(ids.max()) + 1) * (1 + 1 / len(ids)) - 1)
        for (task, _, _), run in found.runs.items()
        if run.held_out is not None and len(ids := run.held_out.ids)
    }
    if not by_task:
        return ""
    shares = ", ".join(f"about {100 * share:.0f} % of {task}" for task, share in by_task.items())
    return f" Unlike in the paper, training sees no rows held out for (b): {shares}."


def _clock(found: Evaluation) -> str:
    conditions = dict.fromkeys(
        f"on {each.device} with {counted(each.threads, 'thread')}, {each.precision}, torch {each.torch}"
        for run in found.runs.values()
        for each in run.on_the_clock()
    )
    return f" ({'; '.join(conditions)})" if conditions else ""


def _monitors(found: Evaluation) -> str:
    named = dict.fromkeys(name for row in settings(found) for name in row["checkpoint by"].split(", "))
    return "by " + ", ".join(named) if named else "none yet"


def _of_published(found: Evaluation, results: Results, metrics: dict[str, str]) -> list[str]:
    published = results.published
    if published is None:
        return []
    notes = [
        f"In brackets the published figure and the difference from it: {published.title}; {published.where}. "
        + " ".join(f"{source}." for source in dict.fromkeys(str(row.source) for row in published.rows))
        + " It is one figure, without deviation, and stands beside both (a) and (b)."
    ]
    if (rows := f"the {published.split} set") != reported(results.suite):
        notes.append(f"The published figures are of {rows}, those measured of {reported(results.suite)}.")
    if unknown := [task for task in metrics if task in published.columns and task not in published.metrics]:
        notes.append(
            f"The metric of the published {' and '.join(unknown)} is not known; here it is "
            f"{', '.join(f'{metrics[task]} for {task}' for task in unknown)}."
        )
    if measured := dict.fromkeys(name for row in settings(found) for name in row["backbone"].split(", ")):
        notes.append(f"The published model is {published.backbone}; measured: {', '.join(measured)}.")
    return (
        notes
        + _disagreeing(published, metrics)
        + [f"Published row {row.label}: {row.note}." for row in published.rows if row.note is not None]
    )


def _disagreeing(published: PublishedTable, metrics: dict[str, str]) -> list[str]:
    return [
        f"The published metric of {task} is {published.metrics[task]}, measured is {metric}."
        for task, metric in metrics.items()
        if published.metrics.get(task, metric) != metric
    ]
