"""Whether another criterion keeps to the same budget and clearly does better."""

from collections.abc import Sequence
from dataclasses import dataclass

from ee_lightning.exits import Criterion, StoredExits
from ee_lightning.functional import halves
from ee_lightning.operating import Estimate, OperatingPoint
from ee_lightning.reporting.budget import Budget
from ee_lightning.reporting.candidates import list_candidates
from ee_lightning.reporting.measurement import measure_gain


@dataclass(frozen=True)
class Rival:
    """A criterion that keeps to a budget better than the one that was asked for.

    Attributes:
        criterion: Its name.
        figure: What it is better in, ``score`` or ``speedup``.
        gain: By how much, on the samples that the thresholds of both were chosen on.
    """

    criterion: str
    figure: str
    gain: Estimate


def clear_rival(point: OperatingPoint, budget: Budget, rivals: Sequence[Criterion], exits: StoredExits) -> Rival | None:
    """Return the criterion that keeps to the budget of an operating point clearly better; None if there is none.

    Thresholds of the others are chosen and compared on the half that the operating point was chosen on, so that the
    half it was measured on stays fresh for whichever is taken. Clearly better is one whose gain, in the score for a
    speed-up and in the speed-up for the other budgets, has a paired bootstrap interval above 0; its level is that of
    the operating point, corrected for the number of rivals (Bonferroni).

    Args:
        point: The operating point, chosen without a guarantee: with one, looking for another criterion would void it.
        budget: What was asked for.
        rivals: The other criteria, those that fit something fitted.
        exits: The stored exits of all samples, of both halves.

    Returns:
        Of several the one whose interval begins highest.
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
        gain = measure_gain(ours, theirs, chosen_on, point.asked.metric, level, point.asked.seed)[budget.goal]
        found.append(Rival(criterion.name, budget.goal, gain))
    best = max(found, key=lambda rival: rival.gain.low, default=None)
    return best if best is not None and best.gain.low > 0 else None
