"""How often the promise of a guarantee is broken, over many draws from a population that is known."""

import pytest
import torch
from factories import exits_of

from ee_lightning.analysis.budgets import Consistency, MaxLoss, MinSpeedup, list_candidates
from ee_lightning.exits import Confidence, StoredExits, Voting

DRAWS, SAMPLES, GUARANTEE = 1000, 200, 0.9


@pytest.fixture(scope="module", params=["continuous scores", "tied scores", "first exit or last"])
def population_and_draws(request):
    """Return the operating points of a population, and those of samples drawn from it."""
    criterion = Voting() if request.param == "tied scores" else Confidence()
    exits = exits_of(5000, num_exits=6, num_classes=3)
    if request.param == "first exit or last":
        exits.logits[1:-1] = 0
    generator = torch.Generator().manual_seed(0)
    draws = []
    for _ in range(DRAWS):
        drawn = torch.randint(exits.num_samples, (SAMPLES,), generator=generator)
        sample = StoredExits(exits.logits[:, drawn], exits.labels[drawn], exits.ids[drawn])
        draws.append(list_candidates(criterion, sample, "accuracy"))
    return list_candidates(criterion, exits, "accuracy"), draws


def truly_reached(kind, population):
    """Return what every operating point reaches of what is promised, in the unit of the budget."""
    if kind is MinSpeedup:
        return population.curve.speedup
    if kind is Consistency:
        return 1 - population.differing.double() / population.num_samples
    spoilt = 100 * population.spoilt.double() / population.num_samples
    loss = 100 * (population.full_score - population.score)
    assert (loss <= spoilt + 1e-9).all(), "the loss of accuracy is no larger than what is bounded"
    return spoilt


def budget_broken_by_a_hair(kind, population):
    """Return a budget that a point half-way along the population's curve all but keeps to."""
    half_way = int((population.curve.mean_exit <= 0.7 * population.curve.num_layers).nonzero()[0])
    reached = truly_reached(kind, population)[half_way].item()
    return kind(reached - 1e-4 if kind is MaxLoss else reached + 1e-4)


def share_broken(budget, population, draws, let_through):
    """Return on what share of the draws a threshold is let through that breaks the budget, and on what share any is."""
    reached = truly_reached(type(budget), population)  # [points of the population]
    breaks = reached > budget.value if isinstance(budget, MaxLoss) else reached < budget.value
    ascending = population.curve.thresholds.flip(0)
    broken = possible = 0
    for candidates in draws:
        thresholds = candidates.curve.thresholds[let_through(candidates)]
        points = len(ascending) - 1 - torch.searchsorted(ascending, thresholds)
        broken += breaks[points].any().item()
        possible += population.is_early[points].any().item()
    return broken / DRAWS, possible / DRAWS


@pytest.mark.parametrize("kind", [MaxLoss, Consistency, MinSpeedup])
def test_promises_are_broken_no_more_often_than_admitted_whichever_threshold_is_picked(kind, population_and_draws):
    budget = budget_broken_by_a_hair(kind, population_and_draws[0])
    broken, possible = share_broken(
        budget, *population_and_draws, lambda sample: budget.guaranteed(sample, budget.value, 1 - GUARANTEE)
    )
    assert broken <= 1 - GUARANTEE
    assert possible > 0.9, "a promise that is never made is never broken"


@pytest.mark.parametrize("kind", [MaxLoss, Consistency, MinSpeedup])
def test_without_a_guarantee_they_are_broken_as_often_as_not(kind, population_and_draws):
    budget = budget_broken_by_a_hair(kind, population_and_draws[0])
    broken, _ = share_broken(budget, *population_and_draws, lambda sample: budget.kept(sample, budget.value))
    assert broken > 0.4
