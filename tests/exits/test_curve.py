import math

import pytest
import torch
from factories import exits_predicting, random_exits, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import Confidence, Fixed, Gate, Oracle, Patience, replay, trace_curve
from ee_lightning.functional import counting_of

shapes = st.fixed_dictionaries(
    {
        "num_exits": st.integers(1, 6),
        "num_samples": st.integers(1, 12),
        "num_classes": st.integers(2, 4),
        "seed": st.integers(0, 2**32),
        "kind": st.sampled_from(["continuous", "tied", "equal"]),
    }
)


def metrics_of(exits):
    if exits.multi_label:
        return ["exact_match", "micro_f1", "macro_f1"]
    return ["pearson"] if exits.num_classes == 1 else ["accuracy", "matthews"]


def outcomes(replayed, thresholds):
    """Return the exit layer [thresholds, samples] and the label of every sample at every threshold."""
    leaves = replayed.scores >= thresholds[:, None, None]  # [thresholds, exits, samples]
    first, stays = leaves.int().argmax(1), ~leaves.any(1)  # [thresholds, samples] each
    label = replayed.labels[first, torch.arange(first.shape[1])]  # [thresholds, samples, ...]
    label[stays] = replayed.fallback.expand_as(label)[stays]
    return torch.where(stays, len(replayed.scores), first + 1), label


@settings(deadline=None, max_examples=40)
@given(shape=shapes, speedup=st.floats(0.5, 8))
def test_curve_equals_brute_force_over_every_distinct_threshold(case, shape, speedup):
    exits = case.exits(**shape)
    criterion = case.ready_for(exits)
    curve = trace_curve(criterion, exits, metrics_of(exits))
    replayed = replay(criterion, exits)
    scores = replayed.scores.double().unique()
    thresholds = torch.cat([scores[scores.isfinite()], torch.tensor([math.inf])])
    exit_layer, label = outcomes(replayed, thresholds)
    at = (curve.attained >= thresholds[:, None]).sum(1) - 1  # [thresholds]
    assert [curve.index_at(threshold) for threshold in thresholds.tolist()] == at.tolist()
    assert torch.equal(curve.mean_exit[at], exit_layer.double().mean(1))
    assert curve.speedup[at].tolist() == pytest.approx((exits.num_exits / exit_layer.double().mean(1)).tolist())
    for metric, found in curve.scores.items():
        assert found[at].tolist() == pytest.approx(naive(metric, label, exits), abs=1e-5)
    for as_attained, as_written in zip(
        outcomes(replayed, curve.attained), outcomes(replayed, curve.thresholds), strict=True
    ):
        assert torch.equal(as_attained, as_written)
    metric = metrics_of(exits)[0]
    assert_it_starts_with_all_layers_and_reads_back_its_own_points(curve, metric)
    assert_the_fastest_point_is_the_first_exit_unless_the_rule_waits(curve, replayed.scores)
    assert_the_threshold_near_a_speedup_leads_to_the_nearest_there_is(curve, replayed, speedup)
    if not case.is_regression and torch.equal(replayed.labels, exits.predictions):  # none is right more often
        oracle = trace_curve(Oracle(), exits, [metric])
        assert oracle.scores[metric][oracle.index_at(Oracle.THRESHOLD)] >= curve.scores[metric].max()


def assert_it_starts_with_all_layers_and_reads_back_its_own_points(curve, metric):
    fastest = curve.mean_exit[-1].item()
    assert curve.mean_exit[0] == curve.num_layers
    assert (curve.speedup.diff() >= 0).all()
    firsts = dict(zip(reversed(curve.speedup.tolist()), reversed(curve.scores[metric].tolist()), strict=True))
    assert [curve.score_at(speedup, metric) for speedup in firsts] == pytest.approx([*firsts.values()], abs=1e-9)
    assert math.isnan(curve.score_at(0.9, metric))
    assert math.isnan(curve.score_at(curve.num_layers / fastest + 0.1, metric))


def assert_the_fastest_point_is_the_first_exit_unless_the_rule_waits(curve, scores):
    earliest = scores.isfinite().int().argmax(0) + 1  # [samples]
    waits_for_good = ~scores.isfinite().any(0)
    assert curve.mean_exit[-1] == torch.where(waits_for_good, curve.num_layers, earliest).double().mean()


def assert_the_threshold_near_a_speedup_leads_to_the_nearest_there_is(curve, replayed, speedup):
    exit_layer, _ = replayed.at(curve.threshold_near(speedup))
    reached = curve.num_layers / exit_layer.double().mean().item()
    assert abs(reached - speedup) == pytest.approx((curve.speedup - speedup).abs().min().item())


def naive(metric, labels, exits):
    """Score predictions [data sets, samples, ...] by the metric, which tests of its own compare with torchmetrics."""
    counting = counting_of(exits.target)
    counts = counting.tally(labels, exits.labels.expand_as(labels)).sum(1)  # [data sets, statistics]
    return counting.metric(metric)(counts, counting.tally_actual(exits.labels).sum(0)).tolist()


def test_every_metric_is_that_of_the_predictions():
    exits = exits_predicting([[1, 1, 0, 1], [1, 0, 0, 1]], num_classes=2, labels=[1, 1, 0, 0])
    curve = trace_curve(Fixed(), exits, ["accuracy", "f1", "matthews"])
    assert curve.criterion == "fixed"
    assert curve.thresholds.tolist() == [math.inf, 1.5, 0.5]
    assert curve.scores["accuracy"].tolist() == [0.5, 0.5, 0.75]
    assert curve.scores["f1"].tolist() == [0.5, 0.5, 0.8]
    assert curve.scores["matthews"].tolist() == pytest.approx([0.0, 0.0, 1 / math.sqrt(3)])


def test_unknown_metrics_are_refused():
    with pytest.raises(OptionError, match=r"(?s)f2 is no metric here.*use accuracy, f1, macro_f1,"):
        trace_curve(Confidence(), random_exits(2, 3, 2), ["accuracy", "f2"])


def test_a_metric_that_does_not_suit_the_classes_is_refused():
    with pytest.raises(OptionError, match="f1 is for two labels"):
        trace_curve(Confidence(), random_exits(2, 3, 3), ["f1"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "Labels are needed"),
        (torch.tensor([0, 2, 1]), "from 0 to 1, but these are torch.int64 from 0 to 2"),
        (torch.tensor([0, -1, 1]), "from -1 to 1"),
        (torch.tensor([0.5, 1.0, 0.0]), "torch.float32"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(labels, message):
    exits = stored(torch.zeros(2, 3, 2), labels)
    with pytest.raises(DataError, match=message):
        trace_curve(Confidence(), exits, ["accuracy"])


def test_regression_is_scored_by_the_correlation_of_the_values():
    values = torch.tensor([[0.0, 1.0, 4.0, 2.5], [1.0, 2.0, 3.0, 4.0]]).unsqueeze(-1)
    exits = stored(values, torch.tensor([10.0, 20.0, 30.0, 40.0]))
    curve = trace_curve(Fixed(), exits, ["pearson"])
    assert curve.thresholds.tolist() == [math.inf, 1.5, 0.5]
    expected = torch.corrcoef(torch.stack([values[0, :, 0], exits.labels]))[0, 1].item()
    assert curve.scores["pearson"].tolist() == pytest.approx([1, 1, expected])


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_exits_that_predict_one_value_for_all_have_no_correlation(offset):
    labels = torch.tensor([0.3, 0.7, 3.1]) + offset
    exits = stored(torch.full((3, 3, 1), 0.1 + offset), labels)
    assert trace_curve(Fixed(), exits, ["pearson"]).scores["pearson"].tolist() == [0, 0, 0, 0]


def test_metrics_of_classes_don_t_serve_values():
    with pytest.raises(OptionError, match=r"(?s)accuracy is no metric here.*use pearson, spearman"):
        trace_curve(Patience(tolerance=0.5), random_exits(2, 3, 1), ["accuracy"])


def test_values_need_labels_too():
    with pytest.raises(DataError, match="Labels are needed"):
        trace_curve(Fixed(), stored(torch.zeros(2, 3, 1)), ["pearson"])


@given(threshold=st.sampled_from([0.35, 0.55, 0.65, 0.7, 0.9, 0.95, 0.99, 1.05]), seed=st.integers(0, 9))
def test_a_threshold_that_no_float32_holds_means_the_same_on_the_curve_and_in_a_replay(
    threshold: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    nearest = torch.full((4, 50), threshold)
    towards = torch.tensor([-torch.inf, threshold, torch.inf])[torch.randint(3, (4, 50), generator=generator)]
    gate = -nearest.nextafter(towards)  # a score that is next to the threshold, or on it
    logits = torch.randn(4, 50, 2, generator=generator)
    exits = stored(logits, torch.zeros(50, dtype=torch.int64), {"gate": gate})
    curve = trace_curve(Gate(), exits, ["accuracy"])
    exit_layer, _ = replay(Gate(), exits).at(threshold)
    assert curve.mean_exit[curve.index_at(threshold)] == exit_layer.double().mean()
