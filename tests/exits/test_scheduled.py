"""Scheduled thresholds: the dial is the budget, and every budget is a threshold for each exit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from factories import exits_of, exits_of_labels, random_exits, stored

from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, Fixed, Scheduled, replay, spec_of, trace_curve


def _plateau(num_samples, seed):
    """Return rows whose exits stop improving half-way."""
    exits = exits_of(num_samples, num_exits=8, seed=seed)
    logits = exits.logits.clone()
    logits[4:] = logits[3] + 0.1 * logits[4:]
    return stored(logits, exits.labels)


@pytest.fixture(scope="module")
def calibration():
    return _plateau(300, seed=1)


@pytest.fixture(scope="module")
def reported():
    return _plateau(400, seed=2)


def fitted(calibration, *options):
    criterion = Scheduled(*options)
    criterion.fit(calibration)
    return criterion


@pytest.mark.parametrize("family", ["auto", "equal", "line", "shares", "free"])
def test_on_the_calibration_rows_the_threshold_is_the_share_of_layers_that_run(calibration, family):
    criterion = fitted(calibration, "confidence", family)
    found = replay(criterion, calibration)
    budgets = criterion.fitted["budgets"]
    assert (budgets[0], budgets[-1]) == (1 / 8, 1)
    assert len(budgets) > 10
    for budget in budgets:
        exit_layer, _ = found.at(budget)
        assert exit_layer.double().mean().item() / 8 == pytest.approx(budget, abs=1e-6)


def test_the_budget_counts_the_layers_behind_which_exits_stand():
    exits = replace(exits_of(200), layers_of_exits=(1, 2, 6, 12))
    criterion = fitted(exits, "confidence", "line")
    budgets = criterion.fitted["budgets"]
    assert (budgets[0], budgets[-1]) == (pytest.approx(1 / 12), 1)
    exit_layer, _ = replay(criterion, exits).at(budgets[20])
    layers = torch.tensor(exits.layers_of_exits)[exit_layer - 1]
    assert layers.double().mean().item() / 12 == pytest.approx(budgets[20])


@pytest.mark.parametrize(
    "base", ["confidence", "voting(k=0.5, fallback=majority)", "f_pabee", "conformal", "learned_ensemble", "eenet"]
)
def test_a_budget_is_a_threshold_for_each_exit_of_the_base(calibration, reported, base):
    criterion = fitted(calibration, base, "line")
    scheduled, plain = replay(criterion, reported), replay(criterion.base, reported)
    for budget in [*criterion.fitted["budgets"], 0.0, 0.31, 0.5, 1.5, math.inf]:
        assert all(map(torch.equal, scheduled.at(budget), plain.at(criterion.thresholds_at(budget))))


@pytest.mark.parametrize("family", ["line", "shares", "free"])
def test_with_a_larger_budget_no_sample_leaves_earlier(calibration, reported, family):
    criterion = fitted(calibration, "confidence", family)
    found = replay(criterion, reported)
    layers = torch.stack([found.at(budget)[0] for budget in criterion.fitted["budgets"]])  # [levels, samples]
    assert (layers.diff(dim=0) >= 0).all()
    thresholds = np.array(criterion.fitted["thresholds"])  # [exits, levels]
    assert (np.diff(thresholds, axis=1) >= 0).all()


def test_equal_thresholds_are_the_base_criterion(calibration, reported):
    scheduled, plain = (
        trace_curve(criterion, reported, ["accuracy"])
        for criterion in (fitted(calibration, "confidence", "equal"), Confidence())
    )
    for speedup in (1.5, 2, 3):
        assert scheduled.score_at(speedup, "accuracy") == pytest.approx(plain.score_at(speedup, "accuracy"), abs=0.01)


def test_where_deep_exits_do_not_improve_thresholds_fall_and_rows_gain(calibration, reported):
    scheduled = fitted(calibration)
    thresholds = scheduled.thresholds_at(0.5)
    assert thresholds[0] > thresholds[6]
    ours, plain, fixed = (trace_curve(each, reported, ["accuracy"]) for each in (scheduled, Confidence(), Fixed()))
    ours, plain = (curve.area("accuracy", fixed) for curve in (ours, plain))
    assert ours > plain + 0.005


@pytest.mark.parametrize("base", ["confidence", "learned_ensemble"])
def test_what_was_fitted_comes_back_to_the_last_bit(calibration, reported, base):
    criterion = fitted(calibration, base)
    again = spec_of(criterion).build()
    assert torch.equal(replay(again, reported).scores, replay(criterion, reported).scores)


def test_a_base_that_is_fitted_judges_rows_that_it_was_not_fitted_on(calibration):
    noise = stored(torch.zeros_like(calibration.logits), calibration.labels)  # of which the base can learn but the rows
    criterion = fitted(noise, "learned_ensemble", "line")
    assert np.isfinite(criterion.fitted["thresholds"]).all()
    criterion.base.restore(spec_of(criterion.base).fitted)


def test_several_labels(calibration):
    exits = exits_of_labels(60)
    criterion = fitted(exits)
    assert {*replay(criterion, exits).at(0.5)[0].tolist()} <= {1, 2, 3, 4}
    assert len({*replay(criterion, exits).at(0.6)[0].tolist()}) > 1


@pytest.mark.parametrize(("num_exits", "num_samples"), [(1, 30), (2, 30), (4, 1), (4, 3)])
def test_few_exits_and_rows(num_exits, num_samples):
    exits = random_exits(num_exits, num_samples, 3)
    criterion = fitted(exits)
    exit_layer, label = replay(criterion, exits).at(2.0)
    assert exit_layer.tolist() == [num_exits] * num_samples
    assert torch.equal(label, exits.predictions[-1])


def test_too_few_rows_for_a_family_are_refused():
    with pytest.raises(OptionError, match=r"19 calibration rows can't tell[\s\S]*family line[\s\S]*20 rows or more"):
        fitted(exits_of(19), "confidence", "line")


def test_fitted_on_another_number_of_exits_or_classes_is_refused(calibration):
    with pytest.raises(OptionError, match="fitted on 8 exits of 2 classes, and these are 4 exits of 3"):
        replay(fitted(calibration), exits_of(5, num_classes=3))


@pytest.mark.parametrize("base", ["oracle", "scheduled_confidence", "no_such"])
def test_what_can_not_be_scheduled_is_refused(base):
    with pytest.raises(OptionError, match=r"can't be scheduled|no criterion 'no_such'"):
        Scheduled(base)
