"""From stored exits and a budget to an operating point."""

from dataclasses import replace

import pytest
import torch
from factories import exits_of, exits_of_labels, stored
from torchmetrics.functional.classification import multilabel_f1_score

import ee_lightning.exits
from ee_lightning.analysis.budgets import BudgetOutOfReach, Consistency, MaxLoss, MinSpeedup
from ee_lightning.analysis.candidates import list_candidates
from ee_lightning.analysis.choice import choose, measure
from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import Criterion, Decision, EvaluatedRows, StoredExits, replay
from ee_lightning.exits.naming import CriterionSpec
from ee_lightning.functional import halves
from ee_lightning.runs.operating_point import Asked, OperatingPoint

VOTING = CriterionSpec("ee_lightning.exits.Voting", {"k": 0.5})
CONFIDENCE = CriterionSpec("ee_lightning.exits.Confidence")
ORDINARY = {"metric": "accuracy", "split": "validation"}


@pytest.mark.parametrize("budget", [MaxLoss(10.0), Consistency(0.7), MinSpeedup(1.5)])
@pytest.mark.parametrize("guarantee", [None, 0.9])
def test_what_is_reported_is_what_the_criterion_does_on_the_other_half(budget, guarantee, tmp_path):
    exits = exits_of(801)
    point = choose(exits, VOTING, budget, **ORDINARY, guarantee=guarantee, seed=3)
    assert point.asked == Asked(budget.name, budget.value, "accuracy", guarantee, "validation", 3)
    assert (point.chosen_on, point.measured_on, point.layers_of_exits) == (400, 401, (1, 2, 3, 4))

    point.write(tmp_path / "operating_point.json")
    again = OperatingPoint.read(tmp_path)
    assert again == point

    _, other = halves(801, seed=3)
    exit_layer, label = replay(again.criterion.build(), exits).at(again.threshold)
    full = exits.logits[-1].argmax(-1)
    speedup = 4 / exit_layer[other].double().mean().item()
    accuracy, full_accuracy = ((labels == exits.labels)[other].double().mean().item() for labels in (label, full))
    assert speedup > 1
    assert {name: estimate.value for name, estimate in point.reached.items()} == pytest.approx(
        {
            "speedup": speedup,
            "score": accuracy,
            "full_score": full_accuracy,
            "loss": full_accuracy - accuracy,
            "consistency": (label == full)[other].double().mean().item(),
        }
    )
    for estimate in point.reached.values():
        assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "exact_match"])
@pytest.mark.parametrize("budget", [MaxLoss(5.0), Consistency(0.6), MinSpeedup(1.5)])
def test_several_labels_have_operating_points_too(budget, metric):
    exits = exits_of_labels(400)
    point = choose(exits, CONFIDENCE, budget, metric=metric, split="validation", seed=1)
    _, other = halves(400, seed=1)
    exit_layer, label = replay(CONFIDENCE.build(), exits).at(point.threshold)
    full = exits.logits[-1] > 0
    consistency = (label == full).all(-1)[other].double().mean().item()
    assert point.reached["consistency"].value == pytest.approx(consistency)
    assert point.reached["speedup"].value == pytest.approx(4 / exit_layer[other].double().mean().item())
    average = metric.removesuffix("_f1")
    for name, said in (("score", label), ("full_score", full)):
        right = (said == exits.labels).all(-1)[other].double().mean().item()
        expected = (
            right
            if metric == "exact_match"
            else multilabel_f1_score(said[other].long(), exits.labels[other], 3, average=average).item()
        )
        assert point.reached[name].value == pytest.approx(expected, abs=1e-6)


def test_of_several_labels_the_exact_match_alone_is_guaranteed():
    exits, budget, about = exits_of_labels(2000), MaxLoss(20.0), {"split": "validation", "guarantee": 0.9}
    point = choose(exits, CONFIDENCE, budget, metric="exact_match", **about)
    assert "the expected exact_match is at most 20 points below the full model's" in point.guarantee
    candidates = list_candidates(CONFIDENCE.build(), exits, "exact_match")
    for place in (1, len(candidates.curve.thresholds) // 2, -1):
        _, label = replay(CONFIDENCE.build(), exits).at(candidates.curve.thresholds[place].item())
        full = exits.logits[-1] > 0
        differs, right = (label != full).any(-1), (full == exits.labels).all(-1)
        assert candidates.differing[place] == differs.sum()
        assert candidates.mean_loss("spoilt")[place] == (differs & right).double().mean()
    with pytest.raises(OptionError, match="micro_f1 cannot be guaranteed") as caught:
        choose(exits, CONFIDENCE, budget, metric="micro_f1", **about)
    assert "exact_match" in caught.value.hint


def test_the_criterion_that_is_measured_has_its_options():
    count, share = (
        choose(exits_of(400), replace(VOTING, init_args={"k": k}), MinSpeedup(1.3), **ORDINARY) for k in (0.0, 1.0)
    )
    assert (count.threshold, share.threshold) == (1.5, 0.5)


def test_neither_half_sees_the_other():
    exits = exits_of(300)
    first, second = halves(300, seed=0)
    point = choose(exits, CONFIDENCE, MaxLoss(3.0), **ORDINARY)

    assert choose(relabelled(exits, second), CONFIDENCE, MaxLoss(3.0), **ORDINARY).threshold == point.threshold
    other = choose(relabelled(exits, first), CONFIDENCE, MaxLoss(3.0), **ORDINARY)
    assert other.threshold != point.threshold
    assert other.reached["full_score"].value == point.reached["full_score"].value


def relabelled(exits, samples):
    labels = exits.labels.clone()
    labels[samples] = 1 - labels[samples]
    return StoredExits(exits.logits, labels, exits.ids)


def test_the_seed_draws_the_halves():
    exits = exits_of(300)
    first, same, other = (choose(exits, CONFIDENCE, MinSpeedup(2.0), **ORDINARY, seed=seed) for seed in (0, 0, 1))
    assert first == same
    assert first.threshold != other.threshold


def test_a_guarantee_is_safer_and_says_what_it_promises():
    exits = exits_of(2000)
    plain, safe = (choose(exits, CONFIDENCE, Consistency(0.9), **ORDINARY, guarantee=level) for level in (None, 0.95))
    assert safe.reached["speedup"].value < plain.reached["speedup"].value
    assert plain.guarantee is None
    assert safe.guarantee is not None
    for words in ("at least 0.95", "1000 samples", "90 % of new samples get the full model's label", "2110.01052"):
        assert words in safe.guarantee


def test_the_promises_of_loss_and_speed_name_their_bounds():
    exits = exits_of(2000)
    loss, speed = (
        choose(exits, CONFIDENCE, budget, **ORDINARY, guarantee=0.9).guarantee
        for budget in (MaxLoss(4), MinSpeedup(1.6))
    )
    assert "by betting (Waudby-Smith and Ramdas 2024)" in loss
    assert "at most 2.5 of 4, a speed-up of at least 1.6" in speed


class Gate(Criterion):
    """Scores what the exits say beside their logits."""

    name = "gate"

    def step(self, output, state):
        return Decision(output.extras["gate"], output.predictions), state


def test_a_criterion_gets_the_extras_of_its_own_samples(monkeypatch):
    monkeypatch.setattr(ee_lightning.exits, "Gate", Gate, raising=False)
    exits = exits_of(100)
    extras = {"gate": torch.zeros(4, 100)}
    extras["gate"][0, halves(100, seed=0)[1][-20:]] = 1.0
    extras["gate"][1] = 1.0
    gated = StoredExits(exits.logits, exits.labels, exits.ids, extras)
    point = choose(gated, CriterionSpec("ee_lightning.exits.Gate"), MaxLoss(99), **ORDINARY)
    assert point.threshold < 0

    point = choose(gated, CriterionSpec("ee_lightning.exits.Gate"), MinSpeedup(1.5), **ORDINARY)
    assert point.threshold == 0.5
    assert point.reached["speedup"].value == pytest.approx(4 / ((20 * 1 + 30 * 2) / 50))


@pytest.mark.parametrize("guarantee", [0.0, 1.0, 95.0])
def test_a_guarantee_that_is_no_probability_is_refused(guarantee):
    with pytest.raises(OptionError, match=f"a guarantee of {guarantee}"):
        choose(exits_of(20), VOTING, MinSpeedup(1.5), **ORDINARY, guarantee=guarantee)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(OptionError, match=rf"a seed of {seed}[\s\S]*hint:"):
        choose(exits_of(20), VOTING, MinSpeedup(1.5), **ORDINARY, seed=seed)


def test_the_oracle_is_refused():
    with pytest.raises(OptionError, match="oracle"):
        choose(exits_of(20), CriterionSpec("ee_lightning.exits.Oracle"), MinSpeedup(1.5), **ORDINARY)


def test_a_metric_that_does_not_suit_is_refused():
    with pytest.raises(OptionError, match="f1"):
        choose(exits_of(20, num_classes=3), VOTING, MinSpeedup(1.5), metric="f1", split="validation")


def test_data_that_cannot_be_chosen_on_are_refused():
    exits = exits_of(20)
    values = stored(torch.zeros(2, 5, 1), torch.zeros(5))
    for broken, what in (
        (StoredExits(exits.logits, None, exits.ids), "labels"),
        (StoredExits(exits.logits[:, :1], exits.labels[:1], exits.ids[:1]), "two halves"),
        (values, "needs classes"),
    ):
        with pytest.raises(DataError, match=what):
            choose(broken, VOTING, MinSpeedup(1.5), **ORDINARY)


def test_a_budget_out_of_reach_is_said_plainly():
    with pytest.raises(BudgetOutOfReach, match=r"no threshold keeps to --min-speedup 9[\s\S]*ask for --min-speedup 4"):
        choose(exits_of(40), CONFIDENCE, MinSpeedup(9), **ORDINARY)


def test_the_metric_the_level_and_the_seed_are_those_of_the_measurement():
    exits = exits_of(300)
    point = choose(exits, CONFIDENCE, MinSpeedup(1.5), metric="f1", split="validation", seed=3)
    measured_on = exits.select(halves(300, seed=3)[1])
    assert point.confidence == 0.95
    assert point.reached == measure(CONFIDENCE.build(), point.threshold, measured_on, "f1", 0.95, seed=3)


def test_the_budget_is_kept_to_by_the_metric_asked_for():
    exits = exits_of(300)
    chosen_on = exits.select(halves(300, seed=0)[0])
    for metric in ("accuracy", "matthews"):
        candidates = list_candidates(CONFIDENCE.build(), chosen_on, metric)
        expected = candidates.curve.thresholds[MaxLoss(2.0).select(candidates, guarantee=None)].item()
        assert choose(exits, CONFIDENCE, MaxLoss(2.0), metric=metric, split="validation").threshold == expected


def test_two_samples_are_enough_for_two_halves():
    point = choose(exits_of(2), CONFIDENCE, MinSpeedup(1.5), **ORDINARY)
    assert (point.chosen_on, point.measured_on) == (1, 1)


def test_a_guarantee_needs_all_rows_or_rows_drawn_at_random():
    exits = exits_of(801)
    first_rows = replace(exits, rows=EvaluatedRows(total=2000, is_drawn=False))
    with pytest.raises(DataError, match="801 of 2000 rows that were not drawn at random") as caught:
        choose(first_rows, VOTING, MaxLoss(10.0), **ORDINARY, guarantee=0.9)
    assert "evaluate the whole split" in caught.value.hint
    choose(first_rows, VOTING, MaxLoss(10.0), **ORDINARY)
    drawn = replace(exits, rows=EvaluatedRows(total=2000))
    assert choose(drawn, VOTING, MaxLoss(10.0), **ORDINARY, guarantee=0.9).guarantee is not None
