"""Replay against live inference, for every criterion."""

import math
from dataclasses import replace

import pytest
import torch
from factories import random_exits, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.errors import OptionError
from ee_lightning.exits import CRITERIA, Fitted, Patience, replay

shapes = st.fixed_dictionaries(
    {
        "num_exits": st.integers(1, 5),
        "num_samples": st.integers(1, 5),
        "num_classes": st.integers(2, 4),
        "seed": st.integers(0, 2**32),
        "kind": st.sampled_from(["continuous", "tied", "equal"]),
    }
)


def live(criterion, exits, threshold, samples, generator):
    """Walk a batch through the exits, dropping who leaves and shuffling who stays."""
    outcome = {}
    state = criterion.start(len(samples), exits.target, exits.logits.device)
    for exit_layer in range(1, exits.num_exits + 1):
        output = exits.select(samples).output(exit_layer)  # of the survivors
        decision, state = criterion.step(output, state)
        leaves = decision.score >= threshold
        for sample, label in zip(samples[leaves].tolist(), decision.label[leaves].tolist(), strict=True):
            outcome[sample] = (exit_layer, label)
        if exit_layer == exits.num_exits:
            stays = samples[~leaves].tolist()
            for sample, label in zip(stays, criterion.fallback(output, state)[~leaves].tolist(), strict=True):
                outcome[sample] = (exit_layer, label)
        survivors = (~leaves).nonzero().squeeze(-1)
        if len(survivors) == 0:
            break
        survivors = survivors[torch.randperm(len(survivors), generator=generator)]
        samples, state = samples[survivors], {name: tensor[survivors] for name, tensor in state.items()}
    return [outcome[sample] for sample in sorted(outcome)]


def assert_steps_leave_their_state_alone(criterion, exits):
    state = criterion.start(exits.num_samples, exits.target, exits.logits.device)
    for exit_layer in range(1, exits.num_exits + 1):
        kept = {name: tensor.clone() for name, tensor in state.items()}
        _, following = criterion.step(exits.output(exit_layer), state)
        torch.testing.assert_close(state, kept, rtol=0, atol=0, equal_nan=True)
        assert all(len(tensor) == exits.num_samples for tensor in following.values())
        state = following


def assert_later_exits_are_not_looked_at(criterion, exits, replayed, seen):
    logits, extras = exits.logits.clone(), {name: extra.clone() for name, extra in exits.extras.items()}
    logits[seen:] = -logits[seen:] + 1
    for extra in extras.values():
        extra[seen:] = 1 - extra[seen:]
    after = replay(criterion, replace(exits, logits=logits, extras=extras))
    assert torch.equal(replayed.scores[:seen], after.scores[:seen])
    assert torch.equal(replayed.labels[:seen], after.labels[:seen])


@settings(deadline=None, max_examples=30)
@given(shape=shapes, seen=st.integers(1, 4))
def test_replay_equals_live_inference_at_every_distinct_threshold(case, shape, seen):
    exits = case.exits(**shape)
    criterion = case.ready_for(exits)
    generator = torch.Generator().manual_seed(shape["seed"])
    replayed = replay(criterion, exits)
    everyone = torch.randperm(exits.num_samples, generator=generator)
    thresholds = [math.inf, *replayed.scores.unique().tolist(), -math.inf]
    for place, threshold in enumerate(thresholds):
        exit_layer, label = replayed.at(threshold)
        expected = list(zip(exit_layer.tolist(), label.tolist(), strict=True))
        assert live(criterion, exits, threshold, everyone, generator) == expected
        if place == shape["seed"] % len(thresholds):
            for sample in range(exits.num_samples):
                assert live(criterion, exits, threshold, torch.tensor([sample]), generator) == [expected[sample]]
    assert_steps_leave_their_state_alone(criterion, exits)
    assert_later_exits_are_not_looked_at(criterion, exits, replayed, seen)


def assert_parts_are_judged_as_the_whole(criterion, exits, parts):
    together = replay(criterion, exits)
    for part in parts:
        apart = replay(criterion, exits.select(part))
        assert torch.equal(apart.scores, together.scores[:, part])
        assert torch.equal(apart.labels, together.labels[:, part])
        assert torch.equal(apart.fallback, together.fallback[part])


@settings(deadline=None, max_examples=60)
@given(num_samples=st.integers(2, 40), num_classes=st.integers(2, 20), seed=st.integers(0, 2**32))
def test_scores_do_not_depend_on_the_rest_of_the_batch(case, num_samples, num_classes, seed):
    exits = case.exits(num_exits=3, num_samples=num_samples, num_classes=num_classes, seed=seed)
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    parts = [*order.tensor_split(2), *order[:4].split(1)]
    assert_parts_are_judged_as_the_whole(case.ready_for(exits), exits, parts)


def test_scores_of_a_large_batch_are_those_of_small_ones(case):
    exits = case.exits(num_exits=3, num_samples=4001, num_classes=3)
    everyone = torch.arange(exits.num_samples)
    parts = [
        everyone[start : start + size] for size in (1, 7, 333, 2000) for start in (0, 8, 1003, exits.num_samples - size)
    ]
    assert_parts_are_judged_as_the_whole(case.ready_for(exits), exits, parts)


def test_extreme_logits_half_precision_and_an_empty_batch_are_judged(case):
    largest = torch.finfo(torch.float32).max
    logits = torch.tensor([[[largest, -largest], [-largest, largest], [1e-40, 0.0]]]).expand(4, -1, -1).clone()
    logits[1::2] = logits[1::2].flip(-1)
    if case.is_regression:
        logits = logits[..., :1]
    labels = torch.eye(3, 2).long() if case.multi_label else torch.tensor([0, 1, 1])
    exits = stored(logits, labels, dict.fromkeys(("gate", "nsp"), torch.ones(4, 3)), multi_label=case.multi_label)
    scores = replay(case.ready_for(exits), exits).scores
    assert scores.is_floating_point()
    assert (scores < math.inf).all()  # which NaN isn't
    assert scores[-1].isfinite().all()

    exits = case.exits(num_exits=3, num_samples=9, num_classes=3)
    criterion = case.ready_for(exits)
    states = [criterion.start(9, exits.target, exits.logits.device)] * 2
    for exit_layer in range(1, exits.num_exits + 1):
        output = exits.output(exit_layer)
        halved = replace(output, logits=output.logits.bfloat16())
        widened = replace(output, logits=output.logits.bfloat16().float())
        (of_halved, states[0]), (of_widened, states[1]) = map(criterion.step, (halved, widened), states)
        assert torch.equal(of_halved.score, of_widened.score)
        assert torch.equal(of_halved.label, of_widened.label)

    output = exits.output(1)
    extras = {name: extra[:0] for name, extra in output.extras.items()}
    nobody = replace(output, logits=output.logits[:0], extras=extras, labels=output.labels[:0])
    decision, state = criterion.step(nobody, criterion.start(0, exits.target, exits.logits.device))
    assert decision.score.shape == (0,)
    assert decision.label.shape == criterion.fallback(nobody, state).shape == nobody.predictions.shape


def test_the_table_names_criteria_as_they_name_themselves():
    assert [kind().name for kind in CRITERIA.values()] == [*CRITERIA]


def test_every_criterion_of_the_table_is_tried_here_and_names_are_distinct(all_cases):
    assert {type(case.criterion) for case in all_cases} == set(CRITERIA.values())
    names = [case.criterion.name for case in all_cases if not case.is_regression and not case.multi_label]
    assert len(set(names)) == len(names)


OF_LABELS = ("voting", "patience", "confidence", "entropy", "scheduled_confidence", "gate", "q_exit", "fixed", "oracle")


@pytest.mark.parametrize("name", sorted({*CRITERIA} - {*OF_LABELS}))
def test_a_criterion_of_one_class_refuses_labels_and_names_those_that_take_them(name):
    criterion, exits = CRITERIA[name](), random_exits(2, 3, 4, multi_label=True)
    with pytest.raises(OptionError, match=f"{name} needs one class a sample") as caught:
        replay(criterion, exits)
    others = "voting, patience, confidence, scheduled_confidence, entropy, gate, q_exit or fixed"
    assert caught.value.hint == f"for several labels use {others}"
    if isinstance(criterion, Fitted):
        with pytest.raises(OptionError, match="one class a sample"):
            criterion.fit(exits)


def test_patience_within_a_tolerance_is_of_values_alone():
    with pytest.raises(OptionError, match="takes none for classification"):
        replay(Patience(tolerance=1.0), random_exits(2, 3, 4, multi_label=True))


@pytest.mark.parametrize("name", sorted(set(CRITERIA) - {"patience", "gate", "q_exit", "fixed"}))
def test_a_criterion_of_classes_refuses_values(name):
    criterion, exits = CRITERIA[name](), random_exits(2, 3, 1)
    with pytest.raises(
        OptionError, match=rf"(?s){name} needs classes.*patience with a tolerance .*, gate, q_exit or fixed"
    ):
        replay(criterion, exits)
    if isinstance(criterion, Fitted):
        with pytest.raises(OptionError, match="needs classes"):
            criterion.fit(exits)
