"""Bands around curves: against a plain bootstrap, and what they must hold."""

import numpy as np
import pytest
import torch
from factories import exits_of, exits_of_labels, random_exits

from ee_lightning.exits import Confidence, Criterion, Fixed, Patience, SoftVoting, StoredExits, Voting, trace_curve
from ee_lightning.exits.bands import Bands


def banded(exits: StoredExits, criterion: Criterion, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a curve's score and the ends of its band, [points] each."""
    curve = Bands(exits).around(trace_curve(criterion, exits, [metric]), criterion)
    low, high = curve.bands[metric]
    return curve.scores[metric].numpy(), low.numpy(), high.numpy()


@pytest.mark.parametrize("criterion", [Confidence(), Voting(), SoftVoting()])
def test_a_band_is_that_of_curves_traced_on_resampled_rows(criterion: Criterion) -> None:
    exits = exits_of(200, num_exits=5, num_classes=3)
    curve = trace_curve(criterion, exits, ["macro_f1"])
    _, low, high = banded(exits, criterion, "macro_f1")
    at = [len(curve.thresholds) * part // 5 for part in range(5)]
    random, speedups = np.random.default_rng(1), curve.speedup[at].tolist()
    scores = [
        [trace_curve(criterion, exits.select(rows), ["macro_f1"]).score_at(speedup, "macro_f1") for speedup in speedups]
        for rows in torch.from_numpy(random.integers(200, size=(200, 200)))
    ]
    expected = np.nanquantile(scores, [0.025, 0.975], axis=0)  # [2, speedups]
    assert np.abs(np.stack([low[at], high[at]]) - expected).max() < 0.03


@pytest.mark.parametrize(
    ("exits", "criterion", "metric"),
    [
        (exits_of(50), Fixed(), "accuracy"),
        (random_exits(4, 50, 1), Patience(tolerance=0.5), "pearson"),
        (exits_of_labels(50), Confidence(), "micro_f1"),
        (exits_of(1), Confidence(), "accuracy"),
    ],
)
def test_a_band_holds_its_curve(exits: StoredExits, criterion: Criterion, metric: str) -> None:
    score, low, high = banded(exits, criterion, metric)
    assert (low <= score).all()
    assert (score <= high).all()
    assert exits.num_samples == 1 or (low < high).any()


def test_of_many_rows_the_band_is_as_narrow_as_its_rows_allow() -> None:
    few, many = (banded(exits_of(rows, seed=3), Confidence(), "accuracy") for rows in (1_000, 16_000))
    widths = [float(np.median(high - low)) for _, low, high in (few, many)]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)


def test_of_many_rows_scores_of_resamples_are_as_close_as_their_rows_allow() -> None:
    deviations = []
    for rows in (5_000, 80_000):
        exits = exits_of(rows, seed=3)
        curve = trace_curve(Confidence(), exits, ["accuracy"])
        scores = Bands(exits).scores_at(curve, Confidence(), "accuracy", [1.5, 2.0, 9.0])
        assert scores[0, :2].tolist() == [curve.score_at(speedup, "accuracy") for speedup in (1.5, 2.0)]
        assert scores[:, 2].isnan().all()
        deviations.append(scores[1:, :2].std(0))
    assert (deviations[0] / deviations[1]).tolist() == pytest.approx([4, 4], rel=0.25)


def test_the_telling_points_keep_their_band() -> None:
    exits = exits_of(3_000)
    whole = Bands(exits).around(trace_curve(Confidence(), exits, ["accuracy"]), Confidence())
    telling = whole.telling()
    places = torch.isin(whole.thresholds, telling.thresholds)
    assert 2 < len(telling.thresholds) < len(whole.thresholds)
    for end, kept in zip(whole.bands["accuracy"], telling.bands["accuracy"], strict=True):
        assert torch.equal(end[places], kept)
