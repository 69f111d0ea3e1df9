import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import (
    Confidence,
    Entropy,
    Fixed,
    Oracle,
    Patience,
    StoredExits,
    Voting,
    replay,
    trace_curve,
)

CRITERIA = [Confidence(), Entropy(), Patience(), Voting(), Voting(k=1, fallback="majority"), Fixed(), Oracle()]
every_criterion = pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.name)
shapes = st.fixed_dictionaries(
    {
        "num_exits": st.integers(1, 6),
        "num_samples": st.integers(1, 12),
        "num_classes": st.integers(2, 4),
        "seed": st.integers(0, 2**32),
        "kind": st.sampled_from(["continuous", "tied", "equal"]),
    }
)


@every_criterion
@settings(deadline=None, max_examples=40)
@given(shape=shapes)
def test_curve_equals_brute_force_over_every_distinct_threshold(criterion, random_exits, shape):
    exits = random_exits(**shape)
    curve = trace_curve(criterion, exits, ["accuracy", "matthews"])
    thresholds = curve.thresholds.tolist()
    replayed = replay(criterion, exits)
    for threshold in [math.inf, *replayed.scores.unique().tolist()]:
        at = max(index for index, reached in enumerate(thresholds) if reached >= threshold)
        exit_layer, label = replayed.at(threshold)
        assert curve.mean_exit[at].item() == exit_layer.double().mean().item()
        assert curve.scores["accuracy"][at].item() == (label == exits.labels).double().mean().item()
        assert curve.speedup[at].item() == pytest.approx(exits.num_exits / exit_layer.double().mean().item())


@every_criterion
@settings(deadline=None, max_examples=40)
@given(shape=shapes)
def test_curve_reaches_from_all_layers_to_one_and_reads_back_its_own_points(criterion, random_exits, shape):
    curve = trace_curve(criterion, random_exits(**shape), ["accuracy"])
    assert (curve.mean_exit[0], curve.mean_exit[-1]) == (curve.num_exits, 1)
    assert (curve.speedup.diff() >= 0).all()
    for speedup in curve.speedup.tolist():
        first = curve.speedup.tolist().index(speedup)
        assert curve.score_at(speedup, "accuracy") == pytest.approx(curve.scores["accuracy"][first].item(), abs=1e-9)
    assert math.isnan(curve.score_at(0.9, "accuracy"))
    assert math.isnan(curve.score_at(curve.num_exits + 0.1, "accuracy"))
    assert 0 <= curve.area("accuracy") <= 1


@every_criterion
@settings(deadline=None, max_examples=40)
@given(shape=shapes)
def test_nothing_is_right_more_often_than_the_oracle(criterion, random_exits, shape):
    exits = random_exits(**shape)
    oracle = trace_curve(Oracle(), exits, ["accuracy"])
    at_one = oracle.thresholds.tolist().index(1.0) if 1.0 in oracle.thresholds else 0
    assert oracle.scores["accuracy"][at_one] >= trace_curve(criterion, exits, ["accuracy"]).scores["accuracy"].max()


def test_every_metric_is_that_of_the_predictions(exits_predicting):
    exits = exits_predicting([[1, 1, 0, 1], [1, 0, 0, 1]], num_classes=2, labels=[1, 1, 0, 0])
    curve = trace_curve(Fixed(), exits, ["accuracy", "f1", "matthews"])
    assert curve.criterion == "fixed"
    assert curve.thresholds.tolist() == [math.inf, 2, 1]
    assert curve.scores["accuracy"].tolist() == [0.5, 0.5, 0.75]
    assert curve.scores["f1"].tolist() == [0.5, 0.5, 0.8]
    assert curve.scores["matthews"].tolist() == pytest.approx([0.0, 0.0, 1 / math.sqrt(3)])


def test_unknown_metrics_are_refused(random_exits):
    with pytest.raises(OptionError, match=r"(?s)Unknown metrics \['f2'\].*'accuracy', 'f1', 'matthews'"):
        trace_curve(Confidence(), random_exits(2, 3, 2), ["accuracy", "f2"])


def test_a_metric_that_does_not_suit_the_classes_is_refused(random_exits):
    with pytest.raises(OptionError, match="two classes for the metric f1, but got 3"):
        trace_curve(Confidence(), random_exits(2, 3, 3), ["f1"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "needs labels"),
        (torch.tensor([0, 2, 1]), "from 0 to 1, but these are torch.int64 from 0 to 2"),
        (torch.tensor([0, -1, 1]), "from -1 to 1"),
        (torch.tensor([0.5, 1.0, 0.0]), "torch.float32"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(labels, message):
    exits = StoredExits(torch.zeros(2, 3, 2), labels, torch.arange(3))
    with pytest.raises(DataError, match=message):
        trace_curve(Confidence(), exits, ["accuracy"])
