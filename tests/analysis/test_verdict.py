"""The two sentences that a run ends with."""

import torch
from factories import exits_of, random_exits

from ee_lightning.analysis.sweep import Sweep, sweep_exits
from ee_lightning.analysis.verdict import verdict
from ee_lightning.exits import Confidence, Criterion, Entropy, Patience, StoredExits, Voting


def swept(exits: StoredExits, *criteria: Criterion, metric: str = "accuracy") -> Sweep:
    return sweep_exits(criteria, exits, None, split="validation", task="mine", metrics=[metric])


def test_it_names_the_leader_its_lead_and_why_counting_lags() -> None:
    exits = exits_of(2000, num_exits=6, seed=1)
    found = swept(exits, Voting(), Confidence())
    first, second = verdict(found)
    at_two = {name: figures["accuracy"]["score_at_2x"] for name, figures in found.summary["criteria"].items()}
    assert first.startswith(f"At 2x confidence leads with {100 * at_two['confidence']:.1f} % accuracy, ")
    lead = 100 * (at_two["confidence"] - at_two["voting"])
    assert f"voting is {lead:.1f} points behind (95 % interval " in first
    said, labels = exits.predictions, exits.class_numbers()
    agree = (said[0] == said[1]).double().mean().item()
    wrong = ((said[:2] != labels).all(0)).double().mean().item()
    assert f"agree on {100 * agree:.0f} % of the rows, and both are wrong on {100 * wrong:.0f} %" in second
    assert second.endswith("(ee-lightning choose).")
    assert verdict(found, "confidence at 0.9")[1].endswith("confidence at 0.9 (ee-lightning predict).")


def test_a_lead_that_may_be_chance_is_called_so() -> None:
    first, second = verdict(swept(exits_of(40, num_exits=6, seed=4), Voting(), Confidence()))
    assert "accuracy, the same as the full model" in first
    assert first.endswith(", which may be chance.")
    assert second.startswith("Next: ")


def test_values_and_exits_at_which_no_row_leaves_have_sentences_too() -> None:
    (first, second) = verdict(swept(random_exits(4, 40, 1), Patience(tolerance=0.5), metric="pearson"))
    assert first.startswith("At ")
    assert second.startswith("Next: read a threshold of patience(tolerance=0.5) off curves.csv")  # which choose refuses
    labels = torch.tensor([0, 1, 0, 1, 0])
    lone = StoredExits(torch.eye(2)[labels].unsqueeze(0), labels, torch.arange(5))
    (first, second) = verdict(swept(lone, Confidence()))
    assert first.startswith("At 1x confidence has")
    assert second == "Next: train with more exits, for with one no row can leave early."


def test_criteria_with_the_same_score_lead_together_and_the_next_one_has_an_interval() -> None:
    exits = exits_of(2000, num_exits=6, seed=1)
    first, _ = verdict(swept(exits, Confidence(), Entropy()))
    assert first.startswith("At 2x confidence and entropy have ")
    first, _ = verdict(swept(exits, Voting(), Confidence(), Entropy()))
    assert first.startswith("At 2x confidence and entropy lead with ")
    first, second = verdict(swept(exits, Voting(), Patience()))
    assert " points behind (95 % interval " in first
    assert "counts exits" not in second


def test_a_model_that_learnt_nothing_is_to_train_longer() -> None:
    logits = torch.tensor([1.0, 0.0]).repeat(6, 40, 1)
    exits = StoredExits(logits, torch.arange(40) % 2, torch.arange(40))
    first, second = verdict(swept(exits, Confidence()))
    assert first == "At 2x confidence has 50.0 % accuracy, the same as the full model."
    assert second.startswith("Next: train longer")
    values = torch.arange(40.0)
    against = StoredExits(-values.repeat(6, 1).unsqueeze(2), values, torch.arange(40))
    assert verdict(swept(against, Patience(tolerance=0.5), metric="pearson"))[1].startswith("Next: train longer")
