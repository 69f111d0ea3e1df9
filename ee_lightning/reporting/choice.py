"""Choosing the threshold of a criterion by a budget, from stored exits."""

from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import Oracle, StoredExits
from ee_lightning.functional import Kind, halves
from ee_lightning.operating import Asked, CriterionRecipe, OperatingPoint
from ee_lightning.reporting.budget import Budget
from ee_lightning.reporting.candidates import Candidates, list_candidates
from ee_lightning.reporting.measurement import measure

CONFIDENCE = 0.95
_SEEDS = 2**64


def choose(
    exits: StoredExits,
    criterion: CriterionRecipe,
    budget: Budget,
    *,
    metric: str,
    split: str,
    guarantee: float | None = None,
    seed: int = 0,
) -> OperatingPoint:
    """Choose a threshold on one half of the samples, and measure it on the other.

    The halves are drawn at random. Every threshold that makes a difference on the first half is a candidate, half-way
    between two neighbouring scores, but for those at which nobody leaves before the last exit. With a guarantee, only
    thresholds are candidates that are proven, by Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052,
    Theorem 1; see `ee_lightning.functional.risk_control`), to keep to the budget in expectation over new samples. It
    holds if these are drawn as the stored ones were, and if nothing of the criterion or the model was fitted or
    selected on the stored ones.

    The figures of the second half are fresh: neither threshold nor guarantee has seen it. Their intervals are bootstrap
    percentiles over its samples, paired where they compare with the full model. They may miss the budget, which
    `OperatingPoint.met` says: without a guarantee it is kept to on the first half only.

    Args:
        exits: The stored exits of a split, with labels.
        criterion: How to make the criterion, with what it was fitted on other samples.
        budget: `MaxLoss`, `MinSpeedup` or `Consistency`.
        metric: The score, a key of `CLASSIFICATION_METRICS`, or for several labels of `MULTI_LABEL_METRICS`.
        split: The name of the split, for the record.
        guarantee: The probability with which the budget is to be kept to on new samples, between 0 and 1; None for no
            guarantee.
        seed: Of the halves and of the intervals, from 0 to below 2^64.

    Returns:
        The operating point. The same arguments give the same.

    Raises:
        BudgetOutOfReach: No threshold keeps to the budget; the error tells the nearest value that one does.
        OptionError: The guarantee is no probability, or cannot be given for this metric; the seed is out of its range;
            the metric is unknown or does not suit the task; the criterion cannot be made, or reads the labels.
        DataError: There are fewer than two samples or no classes, or labels are missing or are no class numbers; or
            a guarantee is asked for and the samples are not all rows of the split, nor drawn from them at random.

    Example:
        ::

            folder = RunFolder("runs/demo/version_0")
            point = choose(
                folder.read_exits("validation"),
                CriterionRecipe("ee_lightning.exits.Voting", {"k": 0.5}),
                MinSpeedup(2.0),
                metric="accuracy",
                split="validation",
            )
            with folder.whole(OPERATING_POINT) as file:
                point.write(file)
    """
    if guarantee is not None and not 0 < guarantee < 1:
        raise OptionError(
            f"got a guarantee of {guarantee}",
            where="guarantee",
            mend="give a probability between 0 and 1, such as 0.95",
        )
    if not 0 <= seed < _SEEDS:
        raise OptionError(f"got a seed of {seed}", where="seed", mend="give a whole number from 0 to below 2^64")
    rule = criterion.build()
    if isinstance(rule, Oracle):
        raise OptionError("the oracle reads the labels", where="criterion", mend="choose a criterion that can be run")
    if exits.kind is Kind.REGRESSION:
        raise DataError(
            "a budget needs classes or labels, and these exits predict a value",
            where=f"split {split!r}",
            mend="read a threshold off curves.csv",
        )
    if guarantee is not None and not exits.rows.is_drawn:
        raise DataError(
            f"the exits are of {exits.num_samples} of {exits.rows.total} rows that were not drawn at random, and a "
            "guarantee is for new rows like those it was proven on",
            where=f"split {split!r}",
            mend="evaluate the whole split, without a limit of its batches",
        )
    if exits.num_samples < 2:
        raise DataError(
            "one sample makes no two halves", where=f"split {split!r}", mend="use a split with more samples"
        )
    chosen_on, measured_on = (exits.select(half) for half in halves(exits.num_samples, seed))
    candidates = list_candidates(rule, chosen_on, metric)
    threshold = float(candidates.curve.thresholds[budget.select(candidates, guarantee)])
    reached = measure(rule, threshold, measured_on, metric, CONFIDENCE, seed)
    return OperatingPoint(
        criterion=criterion,
        threshold=threshold,
        num_exits=exits.num_exits,
        asked=Asked(budget.name, budget.value, metric, guarantee, split, seed),
        chosen_on=chosen_on.num_samples,
        measured_on=measured_on.num_samples,
        confidence=CONFIDENCE,
        reached=reached,
        met=budget.met_by(reached[budget.figure].value),
        guarantee=None if guarantee is None else _in_words(guarantee, candidates, budget),
    )


def _in_words(guarantee: float, candidates: Candidates, budget: Budget) -> str:
    return (
        f"With probability at least {guarantee:g} over the draw of the {candidates.num_samples} samples it was chosen "
        f"on, {budget.promise(candidates)}. By Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052, Theorem 1) "
        "with fixed-sequence testing, for new samples drawn as those were."
    )
