"""Replay against live inference, for every criterion."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.exits import (
    Confidence,
    Entropy,
    ExitOutput,
    Fixed,
    Oracle,
    Patience,
    StoredExits,
    Voting,
    replay,
)

CRITERIA = [
    Confidence(),
    Entropy(),
    Patience(),
    Voting(),
    Voting(k=0),
    Voting(k=1, fallback="majority"),
    Fixed(),
    Oracle(),
]
every_criterion = pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.name)
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
    state = criterion.start(len(samples), exits.num_classes, exits.logits.device)
    for exit_layer in range(1, exits.num_exits + 1):
        logits = exits.logits[exit_layer - 1, samples]  # [survivors, classes]
        output = ExitOutput(exit_layer, exits.num_exits, logits, labels=exits.labels[samples])
        decision, state = criterion.step(output, state)
        leaves = decision.score >= threshold
        for sample, label in zip(samples[leaves].tolist(), decision.label[leaves].tolist(), strict=True):
            outcome[sample] = (exit_layer, label)
        if exit_layer == exits.num_exits:
            stays = samples[~leaves].tolist()
            for sample, label in zip(stays, criterion.fallback(output, state)[~leaves].tolist(), strict=True):
                outcome[sample] = (exit_layer, label)
        survivors = (~leaves).nonzero().squeeze(-1)
        survivors = survivors[torch.randperm(len(survivors), generator=generator)]
        samples, state = samples[survivors], {name: tensor[survivors] for name, tensor in state.items()}
    return [outcome[sample] for sample in sorted(outcome)]


def replayed_at(replayed, threshold):
    exit_layer, label = replayed.at(threshold)
    return list(zip(exit_layer.tolist(), label.tolist(), strict=True))


@every_criterion
@settings(deadline=None, max_examples=30)
@given(shape=shapes)
def test_replay_equals_live_inference_at_every_distinct_threshold(criterion, random_exits, shape):
    exits = random_exits(**shape)
    generator = torch.Generator().manual_seed(shape["seed"])
    replayed = replay(criterion, exits)
    everyone = torch.randperm(exits.num_samples, generator=generator)
    for threshold in [math.inf, *replayed.scores.unique().tolist(), -math.inf]:
        expected = replayed_at(replayed, threshold)
        assert live(criterion, exits, threshold, everyone, generator) == expected
        for sample in range(exits.num_samples):
            alone = live(criterion, exits, threshold, torch.tensor([sample]), generator)
            assert alone == [expected[sample]]


@every_criterion
@settings(deadline=None, max_examples=60)
@given(num_samples=st.integers(1, 40), num_classes=st.integers(2, 20), seed=st.integers(0, 2**32))
def test_scores_do_not_depend_on_the_rest_of_the_batch(criterion, random_exits, num_samples, num_classes, seed):
    exits = random_exits(3, num_samples, num_classes, seed=seed)
    together = replay(criterion, exits)
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    parts = [order[: num_samples // 2], order[num_samples // 2 :], *torch.arange(num_samples).split(1)]
    for part in parts:
        if len(part) > 0:
            apart = replay(criterion, StoredExits(exits.logits[:, part], exits.labels[part], exits.ids[part]))
            assert torch.equal(apart.scores, together.scores[:, part])
            assert torch.equal(apart.labels, together.labels[:, part])
            assert torch.equal(apart.fallback, together.fallback[part])


@every_criterion
@settings(deadline=None, max_examples=30)
@given(shape=shapes, seen=st.integers(1, 5))
def test_scores_never_look_at_later_exits(criterion, random_exits, shape, seen):
    exits = random_exits(**shape)
    later = exits.logits.clone()
    later[seen:] = -later[seen:] + 1
    before, after = replay(criterion, exits), replay(criterion, StoredExits(later, exits.labels, exits.ids))
    assert torch.equal(before.scores[:seen], after.scores[:seen])
    assert torch.equal(before.labels[:seen], after.labels[:seen])


@every_criterion
@settings(deadline=None, max_examples=30)
@given(shape=shapes)
def test_a_step_leaves_the_state_it_was_given_as_it_was(criterion, random_exits, shape):
    exits = random_exits(**shape)
    state = criterion.start(exits.num_samples, exits.num_classes, exits.logits.device)
    for exit_layer in range(1, exits.num_exits + 1):
        kept = {name: tensor.clone() for name, tensor in state.items()}
        _, following = criterion.step(exits.output(exit_layer), state)
        assert all(torch.equal(state[name], kept[name]) for name in kept)
        assert all(len(tensor) == exits.num_samples for tensor in following.values())
        state = following


@every_criterion
def test_finite_logits_of_any_size_give_finite_scores_and_an_empty_batch_gives_none(criterion):
    largest = torch.finfo(torch.float32).max
    logits = torch.tensor([[[largest, -largest], [-largest, largest], [1e-40, 0.0]]]).expand(2, -1, -1)
    replayed = replay(criterion, StoredExits(logits, torch.tensor([0, 1, 1]), torch.arange(3)))
    assert replayed.scores.isfinite().all()
    assert replayed.scores.is_floating_point()
    nobody = ExitOutput(1, 2, torch.zeros(0, 2), labels=torch.zeros(0, dtype=torch.int64))
    decision, _ = criterion.step(nobody, criterion.start(0, 2, torch.device("cpu")))
    assert decision.score.shape == decision.label.shape == (0,)


def test_names_are_distinct():
    names = [criterion.name for criterion in CRITERIA]
    assert len(set(names)) == len(names)
    assert {"confidence", "entropy", "patience", "voting", "fixed", "oracle"} <= set(names)
