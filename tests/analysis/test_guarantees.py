"""How often the promise of a guarantee is broken, over many draws from a population that is known."""

import math

import pytest
import torch
from factories import exits_of, stored

from ee_lightning.analysis.budgets import Consistency, MaxBrier, MaxHellinger, MaxLoss, MaxSpoilt, MinSpeedup
from ee_lightning.analysis.candidates import list_candidates
from ee_lightning.exits import Confidence, StoredExits, Voting

DRAWS, SAMPLES, GUARANTEE = 200, 200, 0.9


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
    return 100 * population.figure(kind.figure)


def budget_broken_by_a_hair(kind, population):
    """Return a budget that a point half-way along the population's curve, of a loss further on, all but keeps to."""
    share = 0.35 if issubclass(kind, MaxLoss) else 0.7
    half_way = int((population.curve.mean_exit <= share * population.curve.num_layers).nonzero()[0])
    reached = truly_reached(kind, population)[half_way].item()
    return kind(reached - 1e-4 if issubclass(kind, MaxLoss) else reached + 1e-4)


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


@pytest.mark.parametrize("kind", [MaxLoss, MaxSpoilt, Consistency, MinSpeedup])
def test_promises_are_broken_no_more_often_than_admitted_whichever_threshold_is_picked(kind, population_and_draws):
    budget = budget_broken_by_a_hair(kind, population_and_draws[0])
    broken, possible = share_broken(
        budget, *population_and_draws, lambda sample: budget.guaranteed(sample, budget.value, 1 - GUARANTEE)
    )
    assert broken <= 1 - GUARANTEE + 2 * math.sqrt(GUARANTEE * (1 - GUARANTEE) / DRAWS)  # two standard errors
    assert possible > 0.9, "a promise that is never made is never broken"


@pytest.mark.parametrize("kind", [MaxLoss, Consistency, MinSpeedup])
def test_without_a_guarantee_they_are_broken_as_often_as_not(kind, population_and_draws):
    budget = budget_broken_by_a_hair(kind, population_and_draws[0])
    broken, _ = share_broken(budget, *population_and_draws, lambda sample: budget.kept(sample, budget.value))
    assert broken > 0.4


@pytest.mark.parametrize("kind", [MaxLoss, Consistency])
def test_on_average_the_promise_is_kept_by_the_fastest_point_let_through(kind, population_and_draws):
    population, draws = population_and_draws
    budget, ascending = budget_broken_by_a_hair(kind, population), population.curve.thresholds.flip(0)
    reached, chosen = truly_reached(kind, population), []
    for candidates in draws:
        allowed = budget.on_average(candidates, budget.value)
        threshold = candidates.curve.thresholds[allowed][-1] if allowed.any() else torch.inf
        chosen.append(reached[len(ascending) - 1 - torch.searchsorted(ascending, threshold)].item())
    mean = sum(chosen) / len(chosen)
    assert mean >= budget.value if kind is Consistency else mean <= budget.value


@pytest.mark.parametrize("kind", [MaxBrier, MaxHellinger])
@pytest.mark.parametrize("population_and_draws", ["continuous scores"], indirect=True)
def test_promises_of_probabilities_are_kept_too(kind, population_and_draws):
    test_promises_are_broken_no_more_often_than_admitted_whichever_threshold_is_picked(kind, population_and_draws)
    test_on_average_the_promise_is_kept_by_the_fastest_point_let_through(kind, population_and_draws)


def test_rows_that_only_the_early_exit_gets_right_count_in_its_favour():
    """As many samples are spoilt as gained: the loss of accuracy is nil, and that of spoilt samples is not."""
    labels = torch.arange(2000) % 2
    swapped = torch.arange(2000) % 20 == 0
    early_wrong, full_wrong = swapped & (labels == 0), torch.arange(2000) % 20 == 1
    exits = stored(torch.stack([one_sided_logits(labels, early_wrong), one_sided_logits(labels, full_wrong)]), labels)
    candidates = list_candidates(Confidence(), exits, "accuracy")
    assert MaxLoss(2.0).guaranteed(candidates, 2.0, 0.05).all()
    assert not MaxSpoilt(2.0).guaranteed(candidates, 2.0, 0.05)[-1]


def one_sided_logits(labels, wrong):
    said = torch.where(wrong, 1 - labels, labels)
    return torch.nn.functional.one_hot(said, 2) * (1 + torch.arange(len(labels)) / len(labels)).unsqueeze(-1)
