"""The criteria that judge several labels a sample, by closed forms and by what they are for one label."""

import math
from dataclasses import replace

import pytest
import torch
from factories import random_exits, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.errors import DataError
from ee_lightning.exits import CRITERIA, Confidence, Entropy, ExitOutput, Oracle, Patience, StoredExits, Voting, replay
from ee_lightning.functional import Kind, set_numbers


def exits_saying(sets, labels=None):
    """Make stored exits of one sample, of the set that each exit predicts."""
    logits = 4.0 * torch.tensor(sets).unsqueeze(1) - 2  # [exits, 1, labels]
    labels = None if labels is None else torch.tensor([labels])
    return stored(logits, labels, multi_label=True)


def of_one_label(exits):
    """Make stored exits that predict every set as a class."""
    numbers, sets = set_numbers(torch.cat([exits.predictions, exits.label_sets().bool().unsqueeze(0)]))
    logits = torch.nn.functional.one_hot(numbers[:-1], max(2, len(sets))).float()  # [exits, samples, sets]
    return StoredExits(logits, numbers[-1], exits.ids), sets


def step(criterion, logits):
    decision, _ = criterion.step(ExitOutput(1, 1, torch.tensor([logits]), kind=Kind.MULTI_LABEL), {})
    return decision.score.item(), decision.label.tolist()


def test_confidence_is_that_of_the_least_sure_label():
    score, label = step(Confidence(), [3.0, -1.0, -5.0])
    assert score == pytest.approx(1 / (1 + math.exp(-1)))
    assert label == [[True, False, False]]
    assert step(Confidence(), [0.0, 9.0])[0] == 0.5


def test_entropy_is_the_mean_over_labels():
    def entropy(z):
        p = 1 / (1 + math.exp(-z))
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    assert step(Entropy(), [3.0, -1.0, 0.5])[0] == pytest.approx(-sum(map(entropy, [3.0, -1.0, 0.5])) / 3)
    assert step(Entropy(), [0.0] * 7)[0] == pytest.approx(-math.log(2))
    assert step(Entropy(), [1e30, -1e30])[0] == 0


def test_the_most_confident_exit_predicts_the_whole_set():
    logits = torch.tensor([[[1.0, -1.0]], [[2.0, 3.0]], [[-1.5, 0.5]]])
    exits = stored(logits, multi_label=True)
    _, label = replay(Confidence(fallback="most_confident"), exits).at(math.inf)
    assert label.tolist() == [[True, True]]


A, B, C = [1, 0, 1], [0, 1, 1], [1, 1, 0]


def test_votes_are_for_whole_sets_and_labels_go_by_their_own_majority():
    replayed = replay(Voting(k=1), exits_saying([A, B, C, A, A]))
    assert replayed.scores.squeeze(-1).tolist() == pytest.approx([1, 1 / 2, 1 / 3, 2 / 4, 3 / 5])
    expected = [A, B, [1, 1, 1], [1, 0, 1], A]  # equal votes: as the one just cast has it
    assert replayed.labels.squeeze(1).tolist() == expected
    assert replayed.fallback.tolist() == [A]
    assert replay(Voting(fallback="majority"), exits_saying([A, B, C])).fallback.tolist() == [[1, 1, 1]]
    assert replay(Voting(fallback="last"), exits_saying([A, B, C])).fallback.tolist() == [C]


shapes = st.fixed_dictionaries(
    {
        "num_exits": st.integers(1, 7),
        "num_samples": st.integers(1, 9),
        "num_classes": st.integers(1, 3),
        "seed": st.integers(0, 2**32),
    }
)


@settings(deadline=None, max_examples=60)
@given(shape=shapes)
@pytest.mark.parametrize("criterion", [Voting(), Voting(k=0), Patience(), Oracle()], ids=lambda each: each.name)
def test_scores_are_those_of_sets_taken_for_classes(criterion, shape):
    exits = random_exits(**shape, multi_label=True)
    as_classes, sets = of_one_label(exits)
    of_labels, of_classes = replay(criterion, exits), replay(criterion, as_classes)
    assert torch.equal(of_labels.scores, of_classes.scores)
    same = (of_labels.labels == sets[of_classes.labels]).all(-1)  # [exits, samples]
    if isinstance(criterion, Voting):
        layers = torch.arange(1, exits.num_exits + 1).unsqueeze(-1)  # [exits, 1]
        same = same[of_classes.scores * layers**criterion.k > layers / 2]  # where a set has the majority
    assert same.all()


def test_labels_that_are_not_known_are_no_labels():
    exits = exits_saying([A], labels=[1, 0, 1])
    assert exits.label_sets().tolist() == [[1, 0, 1]]
    with pytest.raises(DataError, match="not known"):
        replace(exits, labels=torch.tensor([[-1, -1, -1]])).label_sets()
    with pytest.raises(ValueError, match=r"`labels` of shape \[1, 3\]"):
        replace(exits, labels=torch.tensor([1]))


def test_the_error_names_those_that_judge_labels():
    able = {name for name, kind in CRITERIA.items() if kind.handles_multi_label}
    named = {"voting", "patience", "confidence", "entropy", "gate", "q_exit", "fixed"}
    assert able == named | {"oracle"}  # which can't be deployed
