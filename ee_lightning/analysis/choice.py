"""Choosing the threshold of a criterion by a budget, and measuring what it reaches on other rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ee_lightning.analysis.budgets import CLOCK, MEANS, Budget, Guarantee, MaxLoss
from ee_lightning.analysis.candidates import Candidates, list_candidates
from ee_lightning.analysis.row_losses import OF_SHARES, losses_by_exit
from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import Criterion, Oracle, Scheduled, StoredExits, Threshold, replay
from ee_lightning.exits.naming import CriterionSpec, spec_of
from ee_lightning.exits.threshold import at_exits
from ee_lightning.functional import (
    Kind,
    halves,
    paired_difference_interval,
    percentile_interval,
    resample,
    same_rows,
    set_numbers,
    share_interval,
    weighted_scores,
)
from ee_lightning.runs.operating_point import Asked, Costs, Estimate, OperatingPoint

CONFIDENCE = 0.95
RESAMPLES = 2000
_SEEDS = 2**64


def measure(
    criterion: Criterion,
    threshold: Threshold,
    exits: StoredExits,
    metric: str,
    confidence: float,
    seed: int,
    costs: Costs | None = None,
) -> dict[str, Estimate]:
    """Measure a threshold against the full model, on samples that it was not chosen on.

    The intervals are of the level ``confidence``. Those of shares of the samples, and of a difference of two, are of
    `share_interval` and `paired_difference_interval`. The others are bootstrap percentiles over the samples, paired:
    each resample holds the same samples of both. `OperatingPoint.reached` describes the figures.
    """
    exit_layer, early_said = replay(criterion, exits).at(threshold)
    drawn = _Drawn([exit_layer], [early_said, exits.predictions[-1]], exits, metric, seed)
    (layers,), (early, full) = drawn.layers, drawn.said  # [distinct] each
    score, full_score = drawn.score(early), drawn.score(full)  # [data sets] each
    figures = {
        "speedup": drawn.speedup(layers),
        "score": score,
        "full_score": full_score,
        "loss": full_score - score,
    }
    if costs is not None:
        figures[CLOCK] = drawn.speedup_on_clock(layers, costs)
    return {name: _estimate(values, confidence) for name, values in figures.items()} | _of_shares(
        early_said, exits, metric, confidence
    )


def measure_loss(
    criterion: Criterion, threshold: Threshold, exits: StoredExits, loss: str, confidence: float, seed: int
) -> Estimate:
    """Measure the mean of a loss of `row_losses` at a threshold; the interval is as those of `measure`."""
    replayed = replay(criterion, exits)
    at_least = torch.tensor(at_exits(threshold, exits.num_exits), dtype=torch.float64).unsqueeze(1)  # [exits, 1]
    leaves = torch.cat([replayed.scores.double() >= at_least, torch.ones_like(replayed.scores[:1]).bool()])
    left_at = leaves.int().argmax(0, keepdim=True)  # [1, samples]
    lost = losses_by_exit(loss, replayed, exits).gather(0, left_at).squeeze(0)  # [samples]
    if loss in OF_SHARES:
        interval = share_interval(int(lost.sum()), len(lost), confidence)
    else:
        drawn = resample(lost.unsqueeze(-1), RESAMPLES, seed)
        interval = percentile_interval(drawn.draws.double() @ drawn.outcomes.squeeze(-1) / len(lost), confidence)
    return Estimate(lost.mean().item(), *interval)


def _of_shares(early_said: Tensor, exits: StoredExits, metric: str, confidence: float) -> dict[str, Estimate]:
    """Estimate the figures that are shares of the samples, or a difference of two."""
    samples, full_said, labels = exits.num_samples, exits.predictions[-1], exits.known_labels()

    def share(holds: Tensor) -> Estimate:  # holds: [samples]
        successes = int(holds.sum())
        return Estimate(successes / samples, *share_interval(successes, samples, confidence))

    found = {"consistency": share(same_rows(early_said, full_said))}
    if metric in MEANS:
        early, full = same_rows(early_said, labels), same_rows(full_said, labels)  # [samples] each
        lost, gained = int((full & ~early).sum()), int((early & ~full).sum())
        loss = Estimate((lost - gained) / samples, *paired_difference_interval(lost, gained, samples, confidence))
        found |= {"score": share(early), "full_score": share(full), "loss": loss}
    return found


def measure_gain(
    first: tuple[Criterion, Threshold],
    second: tuple[Criterion, Threshold],
    exits: StoredExits,
    point: Asked,
    level: float,
) -> dict[str, Estimate]:
    """Measure by how much ``speedup`` and ``score`` of the second criterion, at its threshold, are above the first's.

    The intervals are paired over the samples; metric and seed are those that ``point`` asked for.
    """
    (exits_1, said_1), (exits_2, said_2) = (replay(rule, exits).at(threshold) for rule, threshold in (first, second))
    drawn = _Drawn([exits_1, exits_2], [said_1, said_2], exits, point.metric, point.seed)
    (layers_1, layers_2), (said_1, said_2) = drawn.layers, drawn.said  # [distinct] each
    return {
        "speedup": _estimate(drawn.speedup(layers_2) - drawn.speedup(layers_1), level),
        "score": _estimate(drawn.score(said_2) - drawn.score(said_1), level),
    }


class _Drawn:
    """How often every distinct outcome is in each data set: the samples themselves, then their resamples.

    An outcome is where each rule lets a sample leave, [samples], and what it predicts, [samples] or [samples, labels].
    """

    def __init__(
        self, exit_layers: list[Tensor], said: list[Tensor], exits: StoredExits, metric: str, seed: int
    ) -> None:
        if exits.target.kind is Kind.MULTI_LABEL:
            numbers, self._meanings = set_numbers(torch.stack([*said, exits.label_sets().bool()]))
        else:
            numbers, self._meanings = torch.stack([*said, exits.class_numbers()]), torch.arange(exits.num_classes)
        layers = torch.stack([exits.layers_run(each) for each in exit_layers])  # [rules, samples]
        drawn = resample(torch.cat([layers, numbers]).T, RESAMPLES, seed)
        *columns, self._actual = drawn.outcomes.unbind(-1)  # [distinct] each
        self.layers, self.said = columns[: len(layers)], columns[len(layers) :]
        self.weights = drawn.weights.double()  # [data sets, distinct]; matmul takes no whole numbers
        self._layers_of_exits, self._metric = exits.layers_of_exits, metric

    def speedup(self, layers: Tensor) -> Tensor:
        """Return all layers over mean executed layers, of shape [data sets]."""
        return self._layers_of_exits[-1] * self.weights.sum(-1) / (self.weights @ layers.double())

    def speedup_on_clock(self, layers: Tensor, costs: Costs) -> Tensor:
        """Return the full model's time over the mean of those of samples that execute so many layers, [data sets]."""
        places = torch.searchsorted(torch.tensor(self._layers_of_exits), layers.contiguous())  # [distinct]
        took = torch.tensor(costs.until(self._layers_of_exits), dtype=torch.float64)[places]  # [distinct]
        return costs.full * self.weights.sum(-1) / (self.weights @ took)

    def score(self, said: Tensor) -> Tensor:
        """Return the metric of predictions, of shape [data sets]."""
        predicted, true = self._meanings[said], self._meanings[self._actual]  # [distinct] or [distinct, labels] each
        return weighted_scores(predicted, true, self.weights, self._metric, num_classes=len(self._meanings))


def _estimate(values: Tensor, confidence: float) -> Estimate:
    return Estimate(values[0].item(), *percentile_interval(values[1:], confidence))


@dataclass(frozen=True)
class Rival:
    """A criterion that keeps to a budget better than the one that was asked for.

    It does so by ``gain`` in ``figure``, ``score`` or ``speedup``, on the samples that both thresholds were chosen on.
    """

    criterion: str
    figure: str
    gain: Estimate


def clear_rival(point: OperatingPoint, budget: Budget, rivals: Sequence[Criterion], exits: StoredExits) -> Rival | None:
    """Return the criterion that keeps to the budget of an operating point clearly better; None if there is none.

    Thresholds of the others are chosen and compared on the half that the operating point was chosen on, so that the
    half it was measured on stays fresh for whichever is taken. Clearly better is one whose gain, in the score for a
    speed-up and in the speed-up for the other budgets, has a paired bootstrap interval above 0; its level is that of
    the operating point, corrected for the number of rivals (Bonferroni). Of several it is the one whose interval begins
    highest.

    Args:
        point: The operating point, chosen without a guarantee: with one, looking for another criterion would void it.
        budget: What was asked for.
        rivals: The other criteria, those that fit something fitted.
        exits: The stored exits of all samples, of both halves.
    """
    chosen_on = exits.select(halves(exits.num_samples, point.asked.seed)[0])
    ours, found = (point.criterion.build(), point.threshold), []
    for criterion in rivals:
        candidates = list_candidates(criterion, chosen_on, point.asked.metric)
        place = budget.find(candidates, guarantee=None)
        if place is None:
            continue
        theirs = criterion, candidates.curve.thresholds[place].item()
        level = 1 - (1 - point.confidence) / len(rivals)
        gain = measure_gain(ours, theirs, chosen_on, point.asked, level)[budget.goal]
        found.append(Rival(criterion.name, budget.goal, gain))
    best = max(found, key=lambda rival: rival.gain.low, default=None)
    return best if best is not None and best.gain.low > 0 else None


def choose(
    exits: StoredExits,
    criterion: CriterionSpec,
    budget: Budget,
    *,
    metric: str,
    split: str,
    guarantee: Guarantee | None = None,
    seed: int = 0,
    costs: Costs | None = None,
) -> OperatingPoint:
    """Choose a threshold on one half of the samples, and measure it on the other.

    The halves are drawn at random. Every threshold that makes a difference on the first half is a candidate, half-way
    between two neighbouring scores, but for those at which no sample leaves before the last exit. With a guarantee,
    only thresholds are candidates that are proven, by Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052,
    Theorem 1; see `ee_lightning.functional.guarantees`), to keep to the budget in expectation over new samples. It
    holds if these are drawn as the stored ones were, and if nothing of the criterion or the model was fitted or
    selected on the stored ones.

    The figures of the second half are fresh: neither threshold nor guarantee has seen it. Their intervals, see
    `measure`, are paired where they compare with the full model. They may miss the budget, which
    `OperatingPoint.met` says: without a guarantee it is kept to on the first half only.

    Args:
        exits: The stored exits of a split, with labels.
        criterion: How to make the criterion, with what it was fitted on other samples.
        budget: One of `ee_lightning.analysis.budgets.BUDGETS`.
        metric: The score, a key of `CLASSIFICATION_METRICS`, or for several labels of `MULTI_LABEL_METRICS`.
        split: The name of the split, for the record.
        guarantee: The probability with which the budget is to be kept to on new samples, or ``mean`` to keep to it on
            average; None for no guarantee.
        seed: Of the halves and of the intervals, from 0 to below 2^64; the same gives the same operating point.
        costs: What a row takes on the clock, by which speed is then judged; None judges it by layers.

    Raises:
        BudgetOutOfReach: No threshold keeps to the budget; the error names the nearest value that one does.
        OptionError: An argument makes no sense, or does not suit the task; or the criterion reads the labels.
        DataError: The samples are fewer than two, without classes or labels; or a guarantee is asked for and they are
            neither all rows of the split nor drawn from them at random.

    Example:
        ::

            folder = RunFolder("runs/demo/version_0")
            point = choose(
                folder.read_exits("validation"),
                CriterionSpec("ee_lightning.exits.Voting", {"k": 0.5}),
                MinSpeedup(2.0),
                metric="accuracy",
                split="validation",
            )
            with folder.whole(OPERATING_POINT) as file:
                point.write(file)
    """
    rule = criterion.build()
    _check(rule, exits, split, guarantee, seed, costs)
    chosen_on, measured_on = (exits.select(half) for half in halves(exits.num_samples, seed))
    candidates = list_candidates(rule, chosen_on, metric, costs)
    threshold = float(candidates.curve.thresholds[budget.select(candidates, guarantee)])
    reached = measure(rule, threshold, measured_on, metric, CONFIDENCE, seed, costs)
    if isinstance(budget, MaxLoss) and budget.figure not in reached:
        reached[budget.figure] = measure_loss(rule, threshold, measured_on, budget.row_loss, CONFIDENCE, seed)
    return OperatingPoint(
        criterion=criterion,
        threshold=threshold,
        layers_of_exits=exits.layers_of_exits,
        asked=Asked(budget.name, budget.value, metric, guarantee, split, seed),
        chosen_on=chosen_on.num_samples,
        measured_on=measured_on.num_samples,
        confidence=CONFIDENCE,
        reached=reached,
        met=budget.met_by(reached[budget.figure_of(reached)].value),
        costs=costs,
        left_at=_left_at(rule, threshold, measured_on),
        guarantee=None if guarantee is None else _in_words(guarantee, candidates, budget),
    )


def _left_at(criterion: Criterion, threshold: float, exits: StoredExits) -> tuple[int, ...]:
    """Return how many samples leave at each exit."""
    exit_layers = replay(criterion, exits).at(threshold)[0]  # [samples]; exits' numbers, from 1
    return tuple(torch.bincount(exit_layers - 1, minlength=exits.num_exits).tolist())


def per_exit(point: OperatingPoint) -> OperatingPoint:
    """Return an operating point of a `Scheduled` criterion as its base with a threshold for each exit.

    Every sample leaves where it did, with the label that it had, so that all figures and a guarantee stay as they are.

    Raises:
        TypeError: The criterion is another.
    """
    rule = point.criterion.build()
    if not isinstance(rule, Scheduled) or isinstance(point.threshold, tuple):
        raise TypeError(f"Expected an operating point of a Scheduled criterion, but got {point!r}.")
    return replace(point, criterion=spec_of(rule.base), threshold=rule.thresholds_at(point.threshold))


def _check(
    rule: Criterion, exits: StoredExits, split: str, guarantee: Guarantee | None, seed: int, costs: Costs | None
) -> None:
    """Raise the errors of `choose` that need no candidates."""
    if guarantee is not None and costs is not None:
        hint = "name the exits, as in --exits 3,6,9,12, or leave the guarantee out"
        raise OptionError("nothing is guaranteed of exits that are picked by the clock", where="guarantee", hint=hint)
    if isinstance(guarantee, float | int) and not 0 < guarantee < 1:
        hint = "give a probability between 0 and 1, such as 0.95"
        raise OptionError(f"got a guarantee of {guarantee}", where="guarantee", hint=hint)
    if not 0 <= seed < _SEEDS:
        raise OptionError(f"got a seed of {seed}", where="seed", hint="give a whole number from 0 to below 2^64")
    if isinstance(rule, Oracle):
        raise OptionError("the oracle reads the labels", where="criterion", hint="choose a criterion that can be run")
    if exits.target.kind is Kind.REGRESSION:
        raise DataError(
            "a budget needs classes or labels, and these exits predict a value",
            where=f"split {split!r}",
            hint="read a threshold off curves.csv, and give it to predict or save: "
            "--criterion 'patience(tolerance=0.5)' --threshold 1",
        )
    if guarantee is not None and not exits.rows.is_drawn:
        raise DataError(
            f"the exits are of {exits.num_samples} of {exits.rows.total} rows that were not drawn at random, and a "
            "guarantee is for new rows like those it was proven on",
            where=f"split {split!r}",
            hint="evaluate the whole split, without a limit of its batches",
        )
    if exits.num_samples < 2:
        hint = "use a split with more samples"
        raise DataError("one sample makes no two halves", where=f"split {split!r}", hint=hint)


def _in_words(guarantee: Guarantee, candidates: Candidates, budget: Budget) -> str:
    if guarantee == "mean":
        return (
            f"On average over the draw of the {candidates.num_samples} samples it was chosen on and of new ones drawn "
            f"as those were, {budget.promise(candidates)}, by conformal risk control (Angelopoulos et al. 2024, arXiv "
            "2208.02814), which takes the highest loss of a sample at this or any higher threshold."
        )
    return (
        f"With probability at least {guarantee:g} over the draw of the {candidates.num_samples} samples it was chosen "
        f"on, {budget.promise(candidates)}. By Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052, Theorem 1) "
        f"with fixed-sequence testing by {budget.tests}, for new samples drawn as those were."
    )
