"""The page docs/evidence/study.md, made from the kept exits of the suites `study` and `study_minilm`.

    python benchmarks/evidence.py                      # makes the page anew; fails if it was another
    python benchmarks/evidence.py --keep runs/study    # first keeps the finished runs of a folder of the suite

Of every training that is kept, docs/evidence/study/ has what all exits said of the reported rows (the task's validation
split) and of the calibration rows, and how long it took. The reported labels serve the scores alone: criteria are
fitted on calibration rows, and rules are compared at equal costs, which need no labels.
"""

import json
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from shutil import copytree
from textwrap import fill

import numpy as np
import torch
from decision_rules import Rows, right_at
from paired import RESAMPLES, Cell, as_table, paired, spelt

from ee_lightning.analysis.comparison import Difference
from ee_lightning.errors import counted
from ee_lightning.exits import (
    CRITERIA,
    JEIDNN,
    Confidence,
    Criterion,
    EENet,
    Energy,
    Entropy,
    Fitted,
    Fixed,
    Oracle,
    Patience,
    Scheduled,
    StoredExits,
    Voting,
    replay,
    trace_curve,
)
from ee_lightning.files import read_json, read_yaml
from ee_lightning.reproduce.published import published_table
from ee_lightning.runs.folder import RunFolder

KEPT = Path(__file__).parents[1] / "docs" / "evidence" / "study"
STOPPED = KEPT / "stopped.json"
EARLY = (2.0, 3.0, 4.0)
DRAWS = 100
COMPARED = (Voting(), Patience(), Scheduled(), EENet(), JEIDNN())
SEEDS = 3
SPEEDUPS = (1.0, 12 / 9, 1.5, 2.0, 2.5, 3.0, 4.0)
TASKS = ("SST-2", "MRPC", "RTE", "CoLA", "Ratings")
INTRODUCTION = f"""# The study: which methods and rules pay

In short:

- **Train all exits together and leave by confidence.** No other training or rule that could be tested is significantly
  better on average. Voting and patience lose 3 to 4 points more at 3x.
- **Early exit at 2x** is on average as accurate as a model that was trained for its last exit alone, within 1.4 points
  either way; at 2.5x it loses 0.5 points, which is not significant.
- **The paper's diversity term** changes nothing significantly at λ = 0.1. At λ = 0.5 it ruins the early exits on CoLA,
  and grows without limit on SST-2.
- **A threshold that was chosen on other rows** loses 0.4 to 0.8 points for 2x, and 1.3 to 1.6 for 3x. It gives less
  speed where the rows to come look different.
- **A model of the first 6 layers** may do as well as early exit if one speed is enough: the difference at 2x is
  too uncertain to tell.

## What was measured

Accuracy in points on the validation split of each task, of gte-small (12 layers) and MiniLM (6 layers) trained for
three epochs by the suites `configs/reproduce/study.yaml` and `study_minilm.yaml`; 500 training rows are held out to fit
criteria on. Speed-ups are all layers over the mean of the layers that run, and rules are compared at equal speed-ups on
the reported rows, which needs no labels. A dash is a speed-up that a rule does not reach.

In brackets are 95 % intervals for other rows and other seeds. The part for rows comes from {RESAMPLES:,} paired
bootstrap resamples, in which thresholds stay as they are; the part for seeds uses Student's t. `tables` and `reproduce`
do the same. Two or three seeds of one task give wide intervals, and with one seed an interval is about this trained
model on other rows. Means count each task that has all {SEEDS} seeds alike, and say nothing about other tasks.

A star marks a mean that is significantly different from 0, after Holm's correction for all means of its table, at a
level of .05. Differences on single tasks are not tested, and no interval is corrected.

Tasks: MRPC, RTE and CoLA of GLUE, SST-2 with 12,000 training rows, and Ratings, sentences of tweets, product reviews
and editorials that people rated as negative, neutral or positive (Hutto and Gilbert 2014). Trainings: `joint` trains
all exits together; `ours` and `ours_half` add the paper's diversity term, with λ = 0.1 and 0.5; `pabee`, `deebert`,
`sweet`, `cosee` and `mutual` are [methods](../guides/methods.md) of other papers. `full`, `9l` and `6l` have one exit,
after all, 9 or 6 layers; `minilm` has one after its 6 layers; `joint_6l` has six exits in 6 layers.

`make evidence` makes this page from `docs/evidence/study/`, and fails if the page was different.
"""


@dataclass(eq=False)
class Run:
    """One kept training; `seconds` is its time on one core, and `precision` the Trainer's."""

    task: str
    training: str
    seed: int
    seconds: float
    precision: str
    exits: StoredExits
    calibration: StoredExits
    _known: dict[str, dict[float, Rows]] = field(default_factory=dict)

    def right(self, rule: Criterion, speedup: float) -> Rows:
        """Return how far each row is right at one of the speed-ups, ``[rows]``, by a rule that is fitted here."""
        if rule.name not in self._known:
            if isinstance(rule, Fitted):
                rule.fit(self.calibration)
            found = right_at(rule, self.exits, [1 / each for each in SPEEDUPS])  # [speedups, rows]
            self._known[rule.name] = dict(zip(SPEEDUPS, found, strict=True))
        return self._known[rule.name][speedup]

    def decided(self, rule: Criterion, speedup: float) -> tuple[Rows, Rows]:
        """Choose a threshold on the calibration rows; return the share of layers of each row, and what is right.

        Both are ``[rows]``.
        """
        if isinstance(rule, Fitted):
            rule.fit(self.calibration)
        threshold = trace_curve(rule, self.calibration, ["accuracy"]).threshold_near(speedup)
        exits, said = replay(rule, self.exits).at(threshold)
        return self.shares(exits), (said == self.exits.class_numbers()).double().numpy()

    def shares(self, exits: torch.Tensor) -> Rows:
        """Return the share of all layers that runs for each row if rows leave at these exits, ``[rows]``."""
        return (self.exits.layers_run(exits).double() / self.exits.layers_of_exits[-1]).numpy()

    def right_on_average(self, rule: Criterion) -> Rows:
        """Return how far each row is right on average over the costs from half of the layers to all, ``[rows]``."""
        if isinstance(rule, Fitted):
            rule.fit(self.calibration)
        at_costs = right_at(rule, self.exits, np.linspace(0.5, 1, 21).tolist())  # [costs, rows]
        mean: Rows = (at_costs[1:] + at_costs[:-1]).mean(0) / 2
        return mean

    def right_in_full(self) -> Rows:
        """Return whether each row is right at the last exit, ``[rows]``."""
        return (self.exits.predictions[-1] == self.exits.class_numbers()).double().numpy()

    def right_anywhere(self) -> Rows:
        """Return whether any exit is right about each row, ``[rows]``."""
        return (self.exits.predictions == self.exits.class_numbers()).any(0).double().numpy()

    def most_frequent(self) -> Rows:
        """Return whether each row is of the most frequent class, ``[rows]``."""
        true = self.exits.class_numbers()
        return (true == true.mode().values).double().numpy()

    def disagreement(self) -> Rows:
        """Return the share of the pairs of exits that disagree about each row, ``[rows]``."""
        said = self.exits.predictions
        first, second = torch.triu_indices(len(said), len(said), 1)
        return (said[first] != said[second]).double().mean(0).numpy()


Pairs = list[tuple[Run, Run]]
"""Runs of two trainings on one task, seed by seed."""


def differ(tasks: Sequence[Pairs], ours: Callable[[Run], Rows], theirs: Callable[[Run], Rows]) -> Cell:
    """Compare what two functions say of each row of the first and of the second runs, on average over tasks."""
    for first, second in chain.from_iterable(tasks):
        assert torch.equal(first.exits.ids, second.exits.ids)
    return paired([np.stack([ours(first) - theirs(second) for first, second in pairs]) for pairs in tasks])


def mean(tasks: Sequence[Pairs], of: Callable[[Run], Rows]) -> float:
    """Return the mean of what a function says of each row of the first runs, over tasks and seeds."""
    return float(np.mean([np.mean([of(run).mean() for run, _ in pairs]) for pairs in tasks]))


def pairs_of(runs: Sequence[Run], ours: str, theirs: str, *, average: bool = True) -> Iterator[tuple[str, list[Pairs]]]:
    """Yield the pairs of each task that has runs of two trainings; then those of all tasks that have all seeds."""
    found, by_task = {(run.task, run.training, run.seed): run for run in runs}, list[Pairs]()
    for task in TASKS:
        seeds = [seed for at, training, seed in found if (at, training) == (task, ours)]
        pairs = [(found[task, ours, seed], found.get((task, theirs, seed))) for seed in sorted(seeds)]
        both = [(first, second) for first, second in pairs if second is not None]
        if both:
            by_task.append(both)
            yield f"{task} ({counted(len(both), 'seed')})", [both]
    complete = [pairs for pairs in by_task if len(pairs) == SEEDS]
    if average and len(complete) > 1:
        yield f"Mean of {len(complete)} tasks ({SEEDS} seeds)", complete


def rules(runs: Sequence[Run]) -> str:
    return rules_of(runs, "joint", (1.5, 2.0, 2.5, 3.0, 4.0), COMPARED)


def every_rule(runs: Sequence[Run]) -> str:
    """Every other rule that needs neither a special training nor labels, at 3x."""
    special = {Confidence.name, "gate", "q_exit", "cap", Fixed.name, Oracle.name}
    special |= {"entropy", "normalised_entropy", "margin"}  # with two classes the same as confidence
    special |= {rule.name for rule in COMPARED}
    rules = {name: kind() for name, kind in CRITERIA.items() if name not in special}
    tasks = dict(pairs_of(runs, "joint", "joint"))
    rows: dict[str, Sequence[Cell]] = {
        name: [differ(each, at(rule, 3.0), at(Confidence(), 3.0)) for each in tasks.values()]
        for name, rule in rules.items()
    }
    return as_table("rule, minus confidence, at 3x", [*tasks], rows)


def rules_of_six_layers(runs: Sequence[Run]) -> str:
    return rules_of(runs, "joint_6l", (4 / 3, 1.5, 2.0, 3.0), (Voting(), Patience(), Scheduled()))


def rules_of(runs: Sequence[Run], training: str, speedups: Sequence[float], others: Sequence[Criterion]) -> str:
    rows: dict[str, Sequence[Cell]] = {}
    for name, tasks in pairs_of(runs, training, training):
        means = [f"{100 * mean(tasks, at(Confidence(), x)):.2f}" for x in speedups]
        rows[f"**{name}, confidence; the most frequent class {100 * mean(tasks, Run.most_frequent):.1f}**"] = means
        for rule in others:
            rows[f"{name}, {rule.name}"] = [differ(tasks, at(rule, x), at(Confidence(), x)) for x in speedups]
    return as_table("rule, minus confidence", [f"{x:.3g}x" for x in speedups], rows)


def at(rule: Criterion, speedup: float) -> Callable[[Run], Rows]:
    """Return what tells how far each row of a run is right by a rule at a speed-up."""
    return lambda run: run.right(rule, speedup)


def diversity(runs: Sequence[Run]) -> str:
    measured: dict[str, Callable[[Run], Rows]] = {
        "confidence, 2x": at(Confidence(), 2.0),
        "confidence, 3x": at(Confidence(), 3.0),
        "voting, 2x": at(Voting(), 2.0),
        "last exit": Run.right_in_full,
        "exits that disagree": Run.disagreement,
    }
    rows = side_by_side(runs, ["ours"], measured)
    for _, [pairs] in pairs_of(runs, "ours_half", "joint", average=False):  # too unlike each other for a mean
        for pair in pairs:
            name = f"{pair[0].task} (seed {pair[0].seed}), ours_half"
            rows[name] = [differ([[pair]], each, each) for each in measured.values()]
    return as_table("training, minus joint", [*measured], rows)


def objectives(runs: Sequence[Run]) -> str:
    measured = {f"{x:g}x": at(Confidence(), x) for x in EARLY} | {"last exit": Run.right_in_full}
    rows = side_by_side(runs, ["pabee", "sweet", "cosee", "mutual", "deebert"], measured)
    return as_table("training, minus joint", [*measured], rows)


def one_recipe(runs: Sequence[Run]) -> str:
    """The joint training with confidence beside other trainings with the rules of their papers."""
    others: dict[str, tuple[str, Criterion]] = {
        "the paper's": ("ours", Voting()),
        "PABEE": ("pabee", Patience()),
        "DeeBERT": ("deebert", Entropy()),
        "COSEE": ("cosee", Energy()),
    }
    speedups = (1.5, 2.0, 3.0, 4.0)
    rows: dict[str, Sequence[Cell]] = {
        f"{label}, minus {name}": [differ(tasks, at(Confidence(), x), at(rule, x)) for x in speedups]
        for name, (training, rule) in others.items()
        for label, tasks in pairs_of(runs, "joint", training)
    }
    return as_table("joint with confidence", [f"{x:g}x" for x in speedups], rows)


def precisions(runs: Sequence[Run]) -> str:
    rows: dict[str, Sequence[Cell]] = {}
    for name, [pairs] in pairs_of(runs, "joint_32", "joint", average=False):
        changed_labels = [(one.exits.predictions != other.exits.predictions).double().mean() for one, other in pairs]
        measured = [*(at(Confidence(), x) for x in EARLY), Run.right_in_full]
        rows[name] = [*(differ([pairs], each, each) for each in measured), f"{100 * np.mean(changed_labels):.2f} %"]
    names = ", ".join(f"{run.task} {run.training} {run.seed}" for run in runs if run.precision == "32-true")
    table = as_table("float32, minus bfloat16", [*(f"{x:g}x" for x in EARLY), "last exit", "labels that change"], rows)
    return f"{filled(f'In float32 ran {names}.')}\n\n{table}"


def side_by_side(
    runs: Sequence[Run], trainings: Sequence[str], measured: dict[str, Callable[[Run], Rows]]
) -> dict[str, Sequence[Cell]]:
    """Return rows of differences of trainings to the joint one."""
    return {
        f"{label}, {ours}": [differ(tasks, each, each) for each in measured.values()]
        for ours in trainings
        for label, tasks in pairs_of(runs, ours, "joint")
    }


def fewer_layers(runs: Sequence[Run]) -> str:
    rows: dict[str, Sequence[Cell]] = {}
    for other, speedups in (("6l", [2.0]), ("minilm", [2.0]), ("9l", [12 / 9]), ("full", [1.5, 2.0, 2.5])):
        for name, tasks in pairs_of(runs, "joint", other):
            for x in speedups:
                cells = [differ(tasks, at(rule, x), Run.right_in_full) for rule in (Confidence(), Scheduled())]
                rows[f"{name}, early exit at {x:.3g}x, minus {other}"] = cells
    found = {(run.task, run.training, run.seed): run for run in runs}

    def by_depth(nine: Run) -> Rows:  # the mean of lines through the models of 6, 9 and 12 layers
        six, full = (found[nine.task, other, nine.seed].right_in_full() for other in ("6l", "full"))
        return (six + 2 * nine.right_in_full() + full) / 4

    nines = [
        run
        for run in runs
        if run.training == "joint" or {(run.task, each, run.seed) for each in ("6l", "full")} <= {*found}
    ]
    for name, tasks in pairs_of(nines, "joint", "9l"):
        cells = [
            differ(tasks, partial(Run.right_on_average, rule=rule), by_depth) for rule in (Confidence(), Scheduled())
        ]
        rows[f"{name}, mean from 1x to 2x, minus 6l to full"] = cells
    return as_table(
        "joint with early exit, minus another model at its last exit", ["confidence", "scheduled_confidence"], rows
    )


def calibration_rows(runs: Sequence[Run]) -> str:
    speedups = (2.0, 2.5, 3.0)

    @cache
    def few(run: Run, size: int) -> Run:
        if size >= run.calibration.num_samples:
            return run
        drawn = torch.randperm(run.calibration.num_samples, generator=torch.Generator().manual_seed(run.seed))[:size]
        return replace(run, calibration=run.calibration.select(drawn), _known={})

    rows: dict[str, Sequence[Cell]] = {}
    for name, tasks in pairs_of(runs, "joint", "joint"):
        for size in (50, 100, 200, 500):
            drawn = [[(few(run, size), run) for run, _ in pairs] for pairs in tasks]
            rows[f"{name}, {size} rows"] = [differ(drawn, at(Scheduled(), x), at(Confidence(), x)) for x in speedups]
    return as_table("scheduled_confidence, minus confidence", [f"{x:g}x" for x in speedups], rows)


def few_rows_for_a_threshold(runs: Sequence[Run]) -> str:
    """The speed-ups that thresholds for 2x reach on the reported rows, of many draws of the rows that choose them."""
    sizes, rule = (50, 100, 200, 500), Confidence()

    def reached(run: Run, size: int) -> Rows:
        """Return the 5th, 50th and 95th percentile of the speed-ups."""
        played, drawn = replay(rule, run.exits), torch.Generator().manual_seed(run.seed)
        speedups = []
        for _ in range(DRAWS):
            places = torch.randint(run.calibration.num_samples, (size,), generator=drawn)
            curve = trace_curve(rule, run.calibration.select(places), ["accuracy"])
            speedups.append(1 / run.shares(played.at(curve.threshold_near(2.0))[0]).mean())
        percentiles: Rows = np.percentile(speedups, [5, 50, 95])
        return percentiles

    rows: dict[str, Sequence[Cell]] = {}
    for name, [pairs] in pairs_of(runs, "joint", "joint", average=False):
        means = [np.mean([reached(run, size) for run, _ in pairs], axis=0) for size in sizes]
        rows[name] = [f"{middle:.2f}x ({low:.2f}, {high:.2f})" for low, middle, high in means]
    return as_table("confidence for 2x, chosen on", [f"{size} rows" for size in sizes], rows)


def promises(runs: Sequence[Run]) -> str:
    """Thresholds for a speed-up that are chosen on calibration rows, where labels play no part, and then reported."""
    rules = {rule.name: rule for rule in (Confidence(), Scheduled())}

    @cache
    def decided(run: Run, rule: str, speedup: float) -> tuple[Rows, Rows]:
        return run.decided(rules[rule], speedup)

    def share(run: Run, rule: str, speedup: float) -> Rows:
        return decided(run, rule, speedup)[0]

    def right(run: Run, rule: str, speedup: float) -> Rows:
        return decided(run, rule, speedup)[1]

    rows: dict[str, Sequence[Cell]] = {}
    for name, tasks in pairs_of(runs, "joint", "joint"):
        for rule in rules:
            for x in (2.0, 2.5, 3.0):
                cost = differ(tasks, partial(share, rule=rule, speedup=x), nothing)
                assert isinstance(cost, Difference)
                reached = f"{100 / cost.value:.2f}x ({100 / cost.high:.2f}, {100 / cost.low:.2f})"
                lost = differ(tasks, partial(right, rule=rule, speedup=x), Run.right_in_full)
                rows[f"{name}, {rule} for {x:g}x"] = [reached, lost]
    return as_table("rule, chosen on calibration rows", ["speed-up", "minus its own last exit"], rows)


def orders_of_the_paper(runs: Sequence[Run]) -> str:
    """The paper's figures at 1.5x beside ours, for the methods that both have."""
    sides = {
        "ALBERT-base": ("full", Run.right_in_full),
        "ALBERT-9L": ("9l", Run.right_in_full),
        "ALBERT-6L": ("6l", Run.right_in_full),
        "DeeALBERT": ("deebert", at(Entropy(), 1.5)),
        "PABEE": ("pabee", at(Patience(), 1.5)),
        "Ours w/ Patience": ("ours", at(Patience(), 1.5)),
        "Ours w/ Voting": ("ours", at(Voting(), 1.5)),
    }
    published = {row.label: row.scores for row in published_table("glue_dev").rows}
    tasks = [task for task in TASKS if task in published["PABEE"]]
    rows: dict[str, Sequence[Cell]] = {}
    for first, second in (
        ("Ours w/ Voting", "Ours w/ Patience"),
        ("Ours w/ Voting", "PABEE"),
        ("Ours w/ Patience", "PABEE"),
        ("Ours w/ Voting", "ALBERT-base"),
        ("PABEE", "ALBERT-base"),
        ("PABEE", "DeeALBERT"),
        ("DeeALBERT", "ALBERT-base"),
        ("ALBERT-base", "ALBERT-9L"),
        ("ALBERT-9L", "ALBERT-6L"),
    ):
        (ours, of_ours), (theirs, of_theirs) = sides[first], sides[second]
        found = {pairs[0][0].task: pairs for _, [pairs] in pairs_of(runs, ours, theirs, average=False)}
        of_paper = {task: published[first][task] - published[second][task] for task in tasks}
        here = {task: differ([pairs], of_ours, of_theirs) for task, pairs in found.items() if task in of_paper}
        told = {task: each for task, each in here.items() if of_paper[task] != 0}
        same = sum(isinstance(each, Difference) and each.value * of_paper[task] > 0 for task, each in told.items())
        rows[f"{first} − {second}"] = [
            f"{np.mean([*of_paper.values()]):+.2f}",
            *(f"{spelt(here[task])}, {counted(len(found[task]), 'seed')}" if task in here else "" for task in tasks),
            f"{same} of {len(told)}",
        ]
    return as_table("first − second", ["paper, mean", *tasks, "same order"], rows)


def lost_rows(runs: Sequence[Run]) -> str:
    rows: dict[str, Sequence[Cell]] = {}
    for name, tasks in pairs_of(runs, "joint", "joint"):
        for x in (1.5, 2.0, 3.0):
            changes = [differ(tasks, partial(changed, speedup=x, sign=sign), nothing) for sign in (-1, 1)]
            missed = differ(tasks, Run.right_anywhere, at(Confidence(), x))
            rows[f"{name}, {x:g}x"] = [spelt(each) for each in (*changes, missed)]  # none can have the other sign
    return as_table("confidence", ["lost", "gained", "right at some exit, minus confidence"], rows)


def changed(run: Run, speedup: float, sign: int) -> Rows:
    """Return what early exit loses (-1) or gains (1) beside the whole model, ``[rows]``."""
    change = run.right(Confidence(), speedup) - run.right_in_full()
    return np.where(sign * change > 0, change, 0.0)


def nothing(run: Run) -> Rows:
    return np.zeros(run.exits.num_samples)


SECTIONS = {
    "Voting, patience, confidence, and rules that are fitted": (
        rules,
        "All rules judge the same models, whose exits were trained together (joint). Start with confidence. On average "
        "voting and patience are worse, the more so the faster the model has to be: at 3x by 3.6 and 3.2 points. No "
        "fitted rule is significantly better than confidence; a gain of about a point is possible. On RTE the models "
        "are only 4 to 7 points above the most frequent class.",
    ),
    "Does any other rule gain?": (
        every_rule,
        "The other rules that need no special training, with their default options, at 3x. None is significantly "
        "better than confidence. Rules that combine exits or need their agreement (soft_voting, f_pabee, beem, "
        "running_ensemble) are significantly worse. Entropy, its normalised form and margin are left out: with two "
        "classes they order the rows as confidence does.",
    ),
    "What does a threshold give that was chosen on other rows?": (
        promises,
        "On SST-2 and Ratings the thresholds give less speed than on the calibration rows, elsewhere what was asked. "
        "SST-2's calibration rows are phrases, and its validation rows are whole sentences, which is the likely cause "
        "there; for Ratings we don't know the cause. So hold out rows that look like those you expect later. Beside "
        "the last exit, thresholds for 2x lose 0.4 to 0.8 points on average, and thresholds for 3x 1.3 to 1.6.",
    ),
    "Which rows does early exit lose?": (
        lost_rows,
        "Lost rows are right at the last exit and wrong early; gained rows are the reverse. At 3x early exit loses "
        "3.7 points on average, and gains 2.0 back. The oracle is right about a row if any exit is; it also gains from "
        "exits that are right by luck, so a rule that sees no labels can't reach it. These means are not tested, "
        "because none could have the other sign.",
    ),
    "Does the diversity term help?": (
        diversity,
        "The term should raise the share of the pairs of exits that disagree about a row: the last column. At λ = 0.1 "
        "(ours) this share hardly rises, and no accuracy changes significantly, on average by less than 0.3 points "
        "either way. At λ = 0.5 (ours_half) it depends on the task, so each seed has a row of its own. On CoLA the "
        "exits disagree much more, and the early ones become worse by 6 points or far more. On MRPC and RTE they "
        "disagree 1 to 4 points more: confidence at 3x loses in five of six runs, up to 3.2 points, and voting at 2x "
        "gains in five, up to 2.4. On SST-2 the term, which has no bound, grew without limit at this λ, and the "
        "training was stopped.",
    ),
    "Which training has the best early exits?": (
        objectives,
        "All trainings have exits at the same layers, the same rows and number of epochs, and leave by confidence. "
        "None is significantly better than the joint training of all exits, and on average none is better early at "
        "all. SWEET is significantly worse at every speed, and COSEE at 3x.",
    ),
    "Is there one recipe for all tasks?": (
        one_recipe,
        "Train all exits together, without the diversity term, and leave by confidence (`configs/methods/best.yaml`). "
        "Beside trainings that leave by the rules of their papers it is never significantly worse on average. It is "
        "significantly better than the paper's, PABEE's and COSEE's from 3x on. DeeBERT's, by entropy, is 2 points "
        "behind on average, which is not significant. For trainings that leave by confidence, see the table above.",
    ),
    "Early exit or a model of fewer layers?": (
        fewer_layers,
        "A model of the first 6 layers (6l) and a MiniLM of 6 layers, as wide and distilled from a larger model, "
        "are trained like the full one, which is a training of its own (full). Both run as many layers as early exit "
        "at 2x; for the clock, see *Exported models* in the [evidence](../evidence.md). If one speed is enough, the "
        "first 6 layers may do as well: the mean difference is too uncertain to tell. MiniLM is 3.8 points worse on "
        "average, which is not significant after the correction. On average early exit is as accurate at 1.33x as the "
        "first 9 layers (9l), within 1.2 points either way, and at 2x as the full model, within 1.4; single tasks "
        "differ by up to 4 points. The last rows of the table are the score of ELUE: the mean over costs, compared "
        "with lines through the models of 6, 9 and 12 layers.",
    ),
    "Do the orders hold with six layers?": (
        rules_of_six_layers,
        "The same comparisons for a model of the first 6 layers only, with six exits. Speed-ups are relative to "
        "these 6 layers. On average over two tasks voting and patience are 2 to 4 points below confidence here too; so "
        "few tasks and seeds make one of these differences significant.",
    ),
    "Do the orders of the paper hold here?": (
        orders_of_the_paper,
        "These differences are too uncertain to decide; a little less than half of them have the paper's sign. The "
        "paper has ALBERT-base at 1.5x (6L and 9L at their own speed); the column *paper, mean* is the mean of these "
        "four tasks on GLUE dev, with Matthews' correlation for CoLA where we have the accuracy. The last column "
        "counts the tasks where the difference has the sign that the paper has there, without the paper's ties.",
    ),
    "Does the precision matter?": (
        precisions,
        "Most trainings ran in bfloat16 with master weights in float32; some ran in float32, on a processor without "
        "instructions for bfloat16. So the two sides of some comparisons differ in precision, most of all those with "
        "6l and minilm. One training was repeated in float32 (seed 1 of joint on CoLA, with `--trainer.precision "
        "32-true`), and very few labels changed, so the tables mix both.",
    ),
    "How many calibration rows does a threshold need?": (
        few_rows_for_a_threshold,
        f"{DRAWS} samples of each model's calibration rows were drawn with replacement. Each chose a threshold, which "
        "was then measured on the reported rows: the median speed-up, and in brackets the middle 90 %, as means over "
        "the seeds. With 50 rows these lie within 20 % of the median, with 500 within 7 %. The median hardly "
        "moves: more rows make the speed-up more certain, but don't help where they look unlike the reported ones "
        "(SST-2, Ratings).",
    ),
    "How many calibration rows does a schedule need?": (
        calibration_rows,
        "One sample of each size was drawn of each model's calibration rows. Even with 50 the mean is not below 0, "
        "because a schedule with many numbers is used only if cross-validation shows that it is better; no size gains "
        "significantly.",
    ),
}


def keep(suite: Path) -> None:
    """Copy what is needed of the finished runs of a suite's folder, and note which had to be stopped.

    It ends, before it copies any, if one was kept with other options.
    """
    records = {file.stem: read_json(file) for file in sorted(suite.glob("logs/*.json"))}
    finished = {stem: stem.rsplit("-", 3) for stem, record in records.items() if not record["failed"]}
    for stem, (task, training, seed, digest) in finished.items():
        kept = KEPT / f"{task}-{training}-{seed}" / "run.json"
        if kept.is_file() and read_json(kept)["options"] != digest:
            sys.exit(f"{kept.parent} is of a training with other options than {suite / 'runs' / stem}")
    for stem, (task, training, seed, digest) in finished.items():
        for folder in suite.glob(f"runs/{stem}/version_*"):
            kept = KEPT / f"{task}-{training}-{seed}"
            copytree(folder / "exits", kept / "exits", dirs_exist_ok=True)
            about = {
                "task": task,
                "training": training,
                "seed": int(seed),
                "seconds": records[stem]["seconds"],
                "options": digest,
                "precision": read_yaml(folder / "config.yaml")["trainer"]["precision"],
            }
            (kept / "run.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
    reasons = {stem: record["failed"].splitlines()[0] for stem, record in records.items() if record["failed"]}
    stopped = {stem: reason for stem, reason in reasons.items() if reason.startswith("training was stopped: ")}
    STOPPED.write_text(json.dumps(read_json(STOPPED) | stopped, indent=2) + "\n", encoding="utf-8")


def read_kept() -> list[Run]:
    found = []
    for path in sorted(KEPT.glob("*/run.json")):
        about, folder = read_json(path), RunFolder(path.parent)
        calibration = folder.read_calibration()
        assert calibration is not None
        run = (about["task"], about["training"], about["seed"], about["seconds"] or 0.0, about["precision"])
        found.append(Run(*run, folder.read_exits("validation"), calibration))
    return found


def filled(text: str) -> str:
    return fill(text, 120, break_on_hyphens=False, break_long_words=False)


def main(options: Namespace) -> None:
    torch.set_num_threads(1)
    if options.keep is not None:
        keep(options.keep)
    runs = read_kept()
    hours = sum(run.seconds for run in runs) / 3600
    about = f"{counted(len(runs), 'training')} are kept; together they took at most {hours:.1f} hours of one "
    about += "core, which some shared with other work. These are not kept, because they were stopped:"
    stopped = [f"- {stem.rpartition('-')[0]}: {reason}" for stem, reason in read_json(STOPPED).items()]
    parts = [INTRODUCTION, filled(about), "", *stopped, ""]
    for title, (section, told) in SECTIONS.items():
        if table := section(runs):
            parts += [f"## {title}\n", filled(told) + "\n", table + "\n"]
    page, made = KEPT.with_suffix(".md"), "\n".join(parts)
    was_same = page.is_file() and page.read_text(encoding="utf-8") == made
    page.write_text(made, encoding="utf-8")
    if not was_same:
        sys.exit(f"{page} was different, and is written again")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--keep", type=Path, help="a folder of the suite whose finished runs are kept first")
    main(parser.parse_args())
