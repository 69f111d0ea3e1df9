"""Exits picked together with a threshold, for a budget on the clock."""

from itertools import combinations

import pytest
import torch
from factories import exits_of, operating_point, stored

from ee_lightning.analysis.budgets import BudgetOutOfReach, Consistency, MaxLoss, MinSpeedup
from ee_lightning.analysis.choice import choose
from ee_lightning.analysis.exit_choice import choose_exits
from ee_lightning.errors import OptionError
from ee_lightning.exits import StoredExits, replay
from ee_lightning.exits.naming import CriterionSpec
from ee_lightning.functional import halves
from ee_lightning.runs.operating_point import Costs, OperatingPoint

CONFIDENCE = CriterionSpec("ee_lightning.exits.Confidence")
COSTS = Costs(start=0.5, layer=2.0, exit=0.4, full=24.6, device="cpu", threads=1)
ASKED = {"metric": "accuracy", "seed": 5}


def at_layers(exits: StoredExits, layers: tuple[int, ...]) -> StoredExits:
    return stored(exits.logits, exits.labels, layers_of_exits=layers)


def best(exits: StoredExits, budget: MinSpeedup | MaxLoss | Consistency) -> tuple[float, float] | None:
    """Walk all samples through the exits at every threshold; return the goal and the other figure of the best."""
    replayed, full, found = replay(CONFIDENCE.build(), exits), exits.predictions[-1], []
    for threshold in replayed.scores.unique().tolist():
        exit_layer, said = replayed.at(threshold)
        took = [0.5 + 2.0 * exits.layers_of_exits[number - 1] + 0.4 * number for number in exit_layer.tolist()]
        speedup, score = 24.6 * len(took) / sum(took), (said == exits.labels).double().mean().item()
        loss = 100 * ((full == exits.labels).double().mean().item() - score)
        figure = {"speedup": speedup, "loss": -loss, "consistency": (said == full).double().mean().item()}
        bound = -budget.value if budget.figure == "loss" else budget.value
        if figure[budget.figure] >= bound - 1e-9 and (exit_layer < exits.num_exits).any():
            found.append((score, speedup) if budget.goal == "score" else (speedup, score))
    return max(found, default=None)


@pytest.mark.parametrize("budget", [MinSpeedup(1.8), MaxLoss(3.0), Consistency(0.9)], ids=lambda budget: budget.name)
def test_the_exits_on_the_way_are_none_better_and_all_subsets_hardly(budget):
    exits = at_layers(exits_of(300, num_exits=5), (2, 4, 6, 9, 12))
    picked = choose_exits(exits, None, CONFIDENCE, budget, COSTS, **ASKED)
    half = exits.select(halves(300, 5)[0])
    ours = best(half.asking(picked), budget)
    assert picked[-1] == 12
    assert ours >= best(half, budget)
    subsets = [(*some, 12) for number in range(5) for some in combinations((2, 4, 6, 9), number)]
    over_all = max(found for layers in subsets if (found := best(half.asking(layers), budget)) is not None)
    assert ours[0] >= 0.97 * over_all[0]

    point = choose(exits.asking(picked), CONFIDENCE, budget, **ASKED, split="validation", costs=COSTS)
    assert (point.layers_of_exits, point.costs) == (picked, COSTS)
    other = exits.select(halves(300, 5)[1]).asking(picked)
    exit_layer, _ = replay(CONFIDENCE.build(), other).at(point.threshold)
    took = [0.5 + 2.0 * picked[number - 1] + 0.4 * number for number in exit_layer.tolist()]
    assert point.reached["clock"].value == pytest.approx(24.6 * len(took) / sum(took))
    assert point.reached["clock"].low <= point.reached["clock"].value <= point.reached["clock"].high
    layers = sum(picked[number - 1] for number in exit_layer.tolist())
    assert point.reached["speedup"].value == pytest.approx(12 * len(took) / layers)
    if budget.figure == "speedup":
        assert point.met == (point.reached["clock"].value >= 1.8)


def test_an_exit_that_says_nothing_new_is_not_asked():
    exits = exits_of(300, num_exits=4)
    logits = exits.logits.clone()
    logits[2] = logits[1]
    exits = stored(logits, exits.labels, layers_of_exits=(3, 5, 6, 12))
    assert 6 not in choose_exits(exits, None, CONFIDENCE, MaxLoss(5.0), COSTS, **ASKED)


def test_free_exits_are_not_dropped_where_each_lets_samples_leave():
    exits = at_layers(exits_of(400, num_exits=4), (3, 6, 9, 12))
    free = Costs(0.0, 1.0, 0.0, 12.0, "cpu", 1)
    by_layers = choose(exits, CONFIDENCE, MaxLoss(5.0), **ASKED, split="validation")
    by_clock = choose(exits, CONFIDENCE, MaxLoss(5.0), **ASKED, split="validation", costs=free)
    assert by_clock.threshold == by_layers.threshold
    assert by_clock.reached["clock"].value == pytest.approx(by_layers.reached["speedup"].value)


def test_a_criterion_that_learns_is_fitted_to_the_exits_asked():
    spec = CriterionSpec("ee_lightning.exits.CalibratedConfidence")
    exits, calibration = (at_layers(exits_of(200, num_exits=3, seed=seed), (4, 8, 12)) for seed in (0, 1))
    assert choose_exits(exits, calibration, spec, MaxLoss(5.0), COSTS, **ASKED)[-1] == 12
    with pytest.raises(OptionError, match="no rows were held out"):
        choose_exits(exits, None, spec, MaxLoss(5.0), COSTS, **ASKED)


def test_what_cannot_be_picked_is_refused():
    exits = at_layers(exits_of(100, num_exits=3), (4, 8, 12))
    picked = choose_exits(exits, None, CONFIDENCE, MinSpeedup(50.0), COSTS, **ASKED)
    with pytest.raises(BudgetOutOfReach, match=r"--min-speedup 50[\s\S]*ask for --min-speedup 2\.\d"):
        choose(exits.asking(picked), CONFIDENCE, MinSpeedup(50.0), **ASKED, split="validation", costs=COSTS)
    with pytest.raises(OptionError, match="one exit, of which none can be picked"):
        choose_exits(exits.asking([12]), None, CONFIDENCE, MaxLoss(1.0), COSTS, **ASKED)
    with pytest.raises(OptionError, match="nothing is guaranteed of exits that are picked by the clock"):
        choose(exits, CONFIDENCE, MaxLoss(5.0), **ASKED, split="validation", guarantee=0.9, costs=COSTS)


def test_costs_come_back_with_the_operating_point(tmp_path):
    point = operating_point(costs=COSTS)
    point.write(tmp_path / "operating_point.json")
    assert OperatingPoint.read(tmp_path) == point


@pytest.mark.parametrize("wrong", [{"layer": 0.0}, {"full": -1.0}, {"exit": float("nan")}, {"start": float("inf")}])
def test_costs_that_are_none_are_refused(wrong):
    fields = {"start": 0.0, "layer": 1.0, "exit": 0.0, "full": 12.0, "device": "cpu", "threads": 1}
    with pytest.raises(ValueError, match="costs from 0"):
        Costs(**{**fields, **wrong})


def test_a_row_that_leaves_pays_for_its_layers_and_the_exits_asked():
    assert torch.tensor(COSTS.until((3, 12))).tolist() == pytest.approx([6.9, 25.3])
