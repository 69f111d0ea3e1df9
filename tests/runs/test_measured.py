"""Figures and intervals against a loop over samples, and those of shares against other ways to work them out."""

from statistics import NormalDist, fmean, pvariance

import pytest
import torch
from factories import exits_of, exits_of_labels
from scipy import stats
from torch.nn.functional import one_hot

from ee_lightning.analysis.choice import measure
from ee_lightning.exits import Confidence, replay
from ee_lightning.functional import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    classification_counts,
    label_counts,
    label_sizes,
)

THRESHOLD = 0.8
SHARES = ["accuracy", "exact_match"]


def figures(exit_layer, early, full, labels, metric, num_exits):
    """Compute them for data sets, each a line: [data sets, samples], or [data sets, samples, labels]."""

    def score(predictions):
        if labels.ndim == 3:
            sums = label_counts(predictions, labels).sum(1), label_sizes(labels).sum(1)
            return torch.vmap(MULTI_LABEL_METRICS[metric])(*sums)
        counts = classification_counts(predictions, labels, 2).sum(1)
        return torch.vmap(CLASSIFICATION_METRICS[metric])(counts, one_hot(labels, 2).sum(1))

    return {
        "speedup": num_exits / exit_layer.double().mean(1),
        "score": score(early),
        "full_score": score(full),
        "loss": score(full) - score(early),
        "consistency": (early == full).flatten(2).all(-1).double().mean(1)
        if labels.ndim == 3
        else (early == full).double().mean(1),
    }


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "micro_f1", "macro_f1", "exact_match"])
def test_intervals_but_those_of_shares_are_those_of_drawing_samples_one_by_one(metric):
    exits = (exits_of_labels if metric in MULTI_LABEL_METRICS else exits_of)(60)
    measured = measure(Confidence(), THRESHOLD, exits, metric, confidence=0.9, seed=0)

    exit_layer, early = replay(Confidence(), exits).at(THRESHOLD)
    data = (exit_layer, early, exits.predictions[-1], exits.labels)
    itself = figures(*(values.unsqueeze(0) for values in data), metric, exits.num_exits)
    expected = {name: value.item() for name, value in itself.items()}
    assert {name: estimate.value for name, estimate in measured.items()} == pytest.approx(expected)

    samples = torch.randint(60, (15_000, 60), generator=torch.Generator().manual_seed(1))
    drawn = figures(*(values[samples] for values in data), metric, exits.num_exits)
    shares = {"consistency"} | ({"score", "full_score", "loss"} if metric in SHARES else set())
    for name in measured.keys() - shares:
        estimate, values = measured[name], drawn[name].sort().values.tolist()
        spread = values[-1] - values[0]
        assert estimate.low == pytest.approx(values[750], abs=0.05 * spread)
        assert estimate.high == pytest.approx(values[14_250], abs=0.05 * spread)


@pytest.mark.parametrize("threshold", [THRESHOLD, 2.0])
@pytest.mark.parametrize("metric", SHARES)
def test_intervals_of_shares_are_exact_and_that_of_the_loss_is_paired(metric, threshold):
    exits = (exits_of_labels if metric in MULTI_LABEL_METRICS else exits_of)(60)
    measured = measure(Confidence(), threshold, exits, metric, confidence=0.9, seed=0)
    rows = [
        [said.tolist() for said in row]
        for row in zip(replay(Confidence(), exits).at(threshold)[1], exits.predictions[-1], exits.labels, strict=True)
    ]
    holds = {
        "score": [early == true for early, _, true in rows],
        "full_score": [full == true for _, full, true in rows],
        "consistency": [early == full for early, full, _ in rows],
    }
    for name, of_rows in holds.items():
        exact = stats.binomtest(sum(of_rows), 60).proportion_ci(0.9, method="exact")
        assert (measured[name].low, measured[name].high) == pytest.approx((exact.low, exact.high))

    lost = [full - early for full, early in zip(holds["full_score"], holds["score"], strict=True)]
    assert measured["loss"].value == pytest.approx(fmean(lost))
    lost += [1, -1]  # the two rows that Bonett and Price add, before they take the interval of a mean
    half = NormalDist().inv_cdf(0.95) * (pvariance(lost) / 62) ** 0.5
    assert (measured["loss"].low, measured["loss"].high) == pytest.approx((fmean(lost) - half, fmean(lost) + half))


def test_rows_without_a_loss_are_no_proof_that_no_other_row_has_one_though_they_bound_it_closely():
    few, many = (measure(Confidence(), 2.0, exits_of(n), "accuracy", confidence=0.95, seed=0) for n in (60, 600))
    for measured in (few, many):
        assert measured["speedup"].value == measured["consistency"].value == measured["consistency"].high == 1
        assert measured["consistency"].low < 1
        assert measured["loss"].value == 0 == pytest.approx(measured["loss"].low + measured["loss"].high)
        assert 0 < measured["loss"].high < (measured["score"].high - measured["score"].low) / 2
    assert few["loss"].high == pytest.approx(10 * many["loss"].high, rel=0.05), "as 1 / n, not as 1 / sqrt(n)"


def test_a_higher_confidence_widens_the_intervals():
    narrow, wide = (measure(Confidence(), THRESHOLD, exits_of(60), "accuracy", level, seed=0) for level in (0.5, 0.99))
    for name, estimate in narrow.items():
        assert wide[name].low < estimate.low <= estimate.value <= estimate.high < wide[name].high


def test_more_samples_narrow_the_intervals():
    few, many = (
        measure(Confidence(), THRESHOLD, exits_of(number), "accuracy", 0.95, seed=0)["score"]
        for number in (400, 40_000)
    )
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(10, rel=0.3)


def test_the_intervals_depend_on_the_seed():
    first, same, other = (
        measure(Confidence(), THRESHOLD, exits_of(60), "accuracy", 0.95, seed=seed) for seed in (1, 1, 2)
    )
    assert first == same
    assert {name: estimate.value for name, estimate in first.items()} == {
        name: estimate.value for name, estimate in other.items()
    }
    assert first["speedup"] != other["speedup"]
