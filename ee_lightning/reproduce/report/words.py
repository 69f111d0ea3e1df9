"""The words of a report: figures, verdict, settings and footnotes."""

import inspect
from collections.abc import Mapping, Sequence
from functools import partial

from ee_lightning.analysis.comparison import LEVEL, RESAMPLES, Difference
from ee_lightning.errors import counted
from ee_lightning.exits import Fitted, Oracle
from ee_lightning.exits.naming import spec_of
from ee_lightning.files import read_yaml, reading
from ee_lightning.reproduce.evaluation import DEV, Evaluation, Variant
from ee_lightning.reproduce.results import Cell, Comparison, Results
from ee_lightning.reproduce.suite import Suite
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.run_options import leaves

CHOSEN: dict[Variant, str] = {"dev": "(a) dev", "held_out": "(b) held out"}
"""On which rows thresholds are chosen, as headings have it."""


def reported(suite: Suite) -> str:
    """Say of which rows scores are reported."""
    return "the dev set" if suite.split == DEV else "the test set"


def signed(points: float) -> str:
    """Write a difference with its sign."""
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", "−")


def p_value(difference: Difference) -> str:
    """Write a p-value."""
    return "p < 0.001" if difference.p_value < 0.001 else f"p = {difference.p_value:.2g}"


def score(cell: Cell, most_seeds: int) -> str:
    """Write a score with its deviation, and with its number of seeds where others have more."""
    deviation = "" if cell.deviation is None else f" ± {cell.deviation:.1f}"
    seeds = f" (n={cell.num_seeds})" if cell.num_seeds < most_seeds else ""
    return f"{cell.score:.1f}{deviation}{seeds}".replace("-", "−")


def beside(cell: Cell) -> str:
    """Write the published figure and the difference from it; nothing where there is none."""
    return "" if cell.difference is None else f"[{cell.published:.1f}, {signed(cell.difference)}]"


def speed(factor: float | None) -> str:
    """Write a speed-up."""
    return "–" if factor is None else f"{factor:.2f}x"


def difference_in_words(found: Difference | None) -> str:
    """Write the result of a test; a dash where there is none."""
    if found is None:
        return "–"
    interval = f"({signed(found.low)} to {signed(found.high)})"
    return f"{signed(found.value)} {interval}, {p_value(found)}, {found.num_ahead}/{found.num_seeds}"


def about(found: Evaluation) -> str:
    """Say what there is of a suite, and how thresholds are chosen."""
    suite = found.suite
    planned = len(suite.tasks) * len(suite.seeds) * len({row.training for row in suite.rows})
    usual, honest = (", as papers report it", ", the honest variant") if suite.split == DEV else ("", "")
    return (
        f"Suite {suite.name}: {len(found.runs)} of {planned} trainings are there; {counted(len(suite.tasks), 'task')}, "
        f"seeds {', '.join(map(str, suite.seeds))}. (a): the threshold is chosen on the dev set{usual}. (b): it is "
        f"chosen on rows held out of training{honest}. Both are scored on {reported(suite)}. Bold: the one best of "
        "a column; on ties nothing is."
    )


def verdict(results: Results, comparisons: Sequence[Comparison]) -> str:
    """Say in a sentence or two what the data say of the rows that the suite compares, honest variant first."""
    if not results.cells:
        return "No row of this suite has a score yet."
    if results.suite.compare is None:
        return _best(results)
    headline = [each for each in reversed(comparisons) if each.other.label == results.suite.compare[1]]
    if not headline:
        return f"{' and '.join(results.suite.compare)} have no finished runs of the same seed yet. {_best(results)}"
    first, *others = headline
    return " ".join([_sentence(results, first), *filter(None, map(_beside, others))])


def _beside(comparison: Comparison) -> str:
    """Say in short what the test says with thresholds chosen on other rows."""
    if (difference := comparison.average) is None:
        return ""
    rows = "the dev set" if comparison.variant == "dev" else "rows held out of training"
    return f"Chosen on {rows} instead: {signed(difference.value)} points ({p_value(difference)})."


def _sentence(results: Results, comparison: Comparison) -> str:
    by_task, rows = comparison.by_task, "the dev set" if comparison.variant == "dev" else "rows held out of training"
    chosen = f"With thresholds chosen on {rows}"
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
    if speedups is not None and max(speedups) / min(speedups) > 1.05:
        return "the speeds differ by more than 5 %, so neither is called better"
    word, is_significant = "better" if difference.value > 0 else "worse", difference.p_value < 0.05
    if difference.num_seeds == 1:
        return f"of this seed it is {word}" if is_significant else "of this seed the two are not told apart"
    return f"the data say that it is {word}" if is_significant else "the data do not tell the two apart"


def _best(results: Results) -> str:
    column = results.columns[-1]
    best = [row.label for row in results.leaders(column, "dev")]
    where = "on average" if len(results.suite.tasks) > 1 else f"on {column}"
    return f"The best score {where}, over {counted(results.num_seeds, 'seed')}: {' and '.join(best) or 'none yet'}."


_SHOWN = {
    "backbone": "model.backbone",
    "layers": "model.num_layers",
    "objective": "model.objective",
    "exits": "model.heads.exits",
    "pooling": "model.heads.pooling",
    "learning rate": "model.optimization.learning_rate",
    "of the heads": "model.optimization.head_learning_rate",
    "batch": "data.batch_size",
    "epochs": "trainer.max_epochs",
    "tokens": "data.max_length",
    "rows": "data.limit_train",
    "held out": "data.calibration",
    "checkpoint by": "checkpoint.monitor",
}
_UNSET = {"layers": "all", "rows": "all", "of the heads": "the same"}


def settings(found: Evaluation) -> list[dict[str, str]]:
    """Return a word for each heading, ``training`` first, of each training that has runs; what differs is listed."""
    table = []
    for name in found.suite.trainings:
        runs = [run for task in found.suite.tasks for run in found.runs_of(task, name)]
        read = [options for run in runs if (options := found.attempt(name, partial(_options, run.folder)))]
        if read:
            shown = {head: ", ".join(dict.fromkeys(_shown(options, head) for options in read)) for head in _SHOWN}
            table.append({"training": name, **shown})
    return table


def _options(folder: RunFolder) -> Mapping[str, str]:
    with reading(folder.config, hint="train again"):
        return leaves(read_yaml(folder.config))


def _shown(options: Mapping[str, str], heading: str) -> str:
    path = _SHOWN[heading]
    if (kind := options.get(f"{path}.class_path")) is None:
        value = options.get(path, "null")
        return _UNSET.get(heading, "–") if value == "null" else value
    begin = f"{path}.init_args."
    given = [f"{name.removeprefix(begin)}={value}" for name, value in options.items() if name.startswith(begin)]
    return f"{kind.rpartition('.')[2]}({', '.join(given)})"


def spelt_out(criterion: str) -> str:
    """Name a criterion with all its options, the defaults among them.

    Example:
        >>> spelt_out("voting")
        'voting(k=0.75, fallback=last)'
    """
    spec = spec_of(criterion)
    parameters = inspect.signature(type(spec.build())).parameters.values()
    options = {each.name: spec.init_args.get(each.name, each.default) for each in parameters}
    shown = ", ".join(f"{name}={value}" for name, value in options.items() if value is not None)
    name = criterion.partition("(")[0].strip()
    return f"{name}({shown})" if shown else name


def footnotes(
    found: Evaluation, results: Results, comparisons: Sequence[Comparison], trainings: Sequence[Mapping[str, str]]
) -> list[str]:
    """Say how every figure came about, and what was chosen where the paper leaves something open."""
    monitors = dict.fromkeys(name for row in trainings for name in row["checkpoint by"].split(", "))
    suite, metrics = found.suite, {task: run.metric for (task, _, _), run in found.runs.items()}
    rows, is_dev = reported(suite), suite.split == DEV
    criteria = {row.label: row.criterion for row in suite.rows if row.criterion is not None}
    notes = [
        f"Scores on {rows} ({suite.split} split) in percent: {', '.join(f'{t} {m}' for t, m in metrics.items())}. "
        f"Mean ± sample standard deviation over {counted(results.num_seeds or len(suite.seeds), 'seed')}; a cell of "
        "fewer says so. Bold: the one best of its column among those of the most seeds; on ties nothing is.",
        f"(a) The threshold is chosen on the dev set{' itself, as papers report it' if is_dev else ''}: of all "
        "operating points that are at least as fast there as stated, by layers, the one with the best score, of equals "
        "the fastest. The paper's own rule is not known. No grid of thresholds: every threshold that changes an "
        f"outcome is a candidate.{_held_out(found)}",
        f"(b) The threshold is chosen by the same rule on rows held out of training, and applied to {rows}"
        f"{': the honest variant' if is_dev else ''}. The speed-up reached there may miss the stated one.",
        f"Checkpoints are chosen on the dev set (by {', '.join(monitors) or 'nothing yet'}), in both variants.",
        "Rows without a criterion read the last exit: nothing is chosen, and (a) and (b) are the same.",
        "Speed-up by layers: all layers of the whole backbone / mean of those executed. By FLOPs: those of the whole "
        "backbone with its last head over those spent, heads passed included, without padding. On the clock: by "
        "the engine in batches of 32, at the very thresholds of the cell, beside the plain model of all layers, of up "
        f"to 256 samples{_clock(found)}; – where nothing was measured. The engine takes samples of similar length "
        "together: what that gives is in all rows, and alone in one that runs all layers.",
    ]
    if len(suite.tasks) > 1:
        notes.append(
            "avg: the plain mean over the tasks, seed by seed, as the paper averages; only where all tasks are there. "
            "Its speed-ups are plain means too. The tests' average is over the tasks that both rows have."
        )
    if comparisons:
        notes.append(
            "Tests: two-sided, of the difference averaged over seeds, paired by sample and seed, with "
            f"{100 * LEVEL:g} % intervals. They speak of other samples than those of {rows}, and of other runs: the "
            "variance between runs is that between seeds, with Student's t for their number, and the variance between "
            f"samples that of {RESAMPLES} bootstrap resamples. Of one seed they speak of other samples alone. They are "
            "not corrected for the number of tests."
        )
    if chosen := ", ".join(f"{label}: {spelt_out(name)}" for label, name in criteria.items()):
        notes.append(f"Criteria with all their options: {chosen}.")
    marker = "diversity_weight="
    weighted = [(row["training"], row["objective"].partition(marker)[2]) for row in trainings]
    if weights := ", ".join(f"{training} {rest.partition(',')[0].rstrip(')')}" for training, rest in weighted if rest):
        notes.append(f"Weight λ of the diversity term by training, which the paper does not state per task: {weights}.")
    if any(isinstance(spec_of(name).build(), Fitted) for name in criteria.values()):
        notes.append(
            "Criteria that learn something are fitted on one half of the rows held out, drawn at random; (b) chooses "
            "their threshold on the other half."
        )
    if Oracle.name in criteria.values():
        notes.append("The oracle reads the labels: the best choice of exits, not a method.")
    return [
        *notes,
        *_of_published(trainings, results, metrics),
        *(f"Left out: {problem}." for problem in found.problems),
    ]


def _held_out(found: Evaluation) -> str:
    """Return how many rows no training sees; of how many is estimated from the places of those drawn."""
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


def _of_published(trainings: Sequence[Mapping[str, str]], results: Results, metrics: Mapping[str, str]) -> list[str]:
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
    if measured := dict.fromkeys(name for row in trainings for name in row["backbone"].split(", ")):
        notes.append(f"The published model is {published.backbone}; measured: {', '.join(measured)}.")
    notes += [
        f"The published metric of {task} is {published.metrics[task]}, measured is {metric}."
        for task, metric in metrics.items()
        if published.metrics.get(task, metric) != metric
    ]
    return notes + [f"Published row {row.label}: {row.note}." for row in published.rows if row.note is not None]
