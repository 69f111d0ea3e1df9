"""Choosing which exits to ask, together with the threshold, for a budget on the clock."""

from dataclasses import replace

from ee_lightning.analysis.budgets import Budget
from ee_lightning.analysis.candidates import list_candidates
from ee_lightning.analysis.sweep import fit_spec
from ee_lightning.errors import OptionError
from ee_lightning.exits import StoredExits
from ee_lightning.exits.naming import CriterionSpec
from ee_lightning.exits.placement import Layers
from ee_lightning.functional import halves
from ee_lightning.runs.operating_point import Costs

_Merit = tuple[bool, float, float]


def choose_exits(
    exits: StoredExits,
    calibration: StoredExits | None,
    criterion: CriterionSpec,
    budget: Budget,
    costs: Costs,
    *,
    metric: str,
    seed: int,
) -> Layers:
    """Return the layers of the exits to ask, the last one among them, chosen on the half that `choose` chooses on.

    An exit costs its head and its criterion, and lets samples leave: fewer exits are faster where the others let nearly
    as many leave. Of a set of exits the best threshold within the budget is taken. The search begins with all exits and
    drops, step by step, the one without which that threshold is best; of all sets on its way the best is returned,
    the first of equally good ones. So it looks at half of the square of their number, not at all of their subsets,
    and overfits less.

    Args:
        exits: The stored exits of a split, with labels.
        calibration: Those of the rows held out for criteria that fit something, which is fitted to every set again.
        criterion: How to make the criterion.
        budget: What the threshold has to keep to; its speed-up is that on the clock.
        costs: What a row takes.
        metric: The score.
        seed: Of the halves.

    Raises:
        OptionError: There is only one exit, or the criterion has to be fitted and no rows were held out.
        DataError: Labels are missing or are no class numbers.
    """
    if exits.num_exits == 1:
        hint = "train with --model.heads.exits every, or with a list of layers"
        raise OptionError("the model has one exit, of which none can be picked", where="--exits auto", hint=hint)
    chosen_on = exits.select(halves(exits.num_samples, seed)[0])
    spec = replace(criterion, fitted={})

    def merit(layers: Layers) -> _Merit:
        fitted = fit_spec(spec, None if calibration is None else calibration.asking(layers))
        candidates = list_candidates(fitted.build(), chosen_on.asking(layers), metric, costs)
        speedup, place = candidates.figure("speedup"), budget.find(candidates, guarantee=None)
        if place is None:  # the nearer the faster
            return False, speedup.max().item(), 0.0
        fast, good = speedup[place].item(), candidates.score[place].item()
        return (True, good, fast) if budget.goal == "score" else (True, fast, good)

    kept = best = exits.layers_of_exits
    found = {kept: merit(kept)}
    while len(kept) > 2:
        fewer = {(*kept[:place], *kept[place + 1 :]) for place in range(len(kept) - 1)}
        found |= {layers: merit(layers) for layers in sorted(fewer)}
        kept = max(sorted(fewer), key=found.__getitem__)
        best = max(best, kept, key=found.__getitem__)
    return best
