import itertools
from collections import Counter
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import double_fault, late_correction, overthinking, pairwise_disagreement, q_statistic


@st.composite
def predicted(draw):
    """Draw predictions [exits, samples] and labels [samples], often such that an exit is always right or wrong."""
    num_exits, num_samples = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    classes = st.integers(0, draw(st.integers(0, 3)))
    row = st.lists(classes, min_size=num_samples, max_size=num_samples)
    predictions = draw(st.lists(row, min_size=num_exits, max_size=num_exits))
    labels = draw(st.one_of(row, st.sampled_from(predictions)))
    return torch.tensor(predictions), torch.tensor(labels)


def naive_q(one, other, labels):
    """Return Yule's Q of two lists of classes from their odds ratio; 0 if one of them is always right or wrong."""
    table = Counter((p == y, q == y) for p, q, y in zip(one, other, labels, strict=True))
    if any(len({cell[exit_] for cell in table}) == 1 for exit_ in (0, 1)):
        return 0
    unlike = table[True, False] * table[False, True]
    if unlike == 0:
        return 1
    odds_ratio = Fraction(table[True, True] * table[False, False], unlike)
    return (odds_ratio - 1) / (odds_ratio + 1)


@settings(deadline=None, max_examples=200)
@given(data=predicted())
def test_measures_of_pairs_equal_loops(data):
    predictions, labels = data
    rows, truth = predictions.tolist(), labels.tolist()
    disagreement, q, fault = pairwise_disagreement(predictions), q_statistic(*data), double_fault(*data)
    for matrix in (disagreement, q, fault):
        assert matrix.dtype == torch.float64
        assert matrix.shape == (len(rows), len(rows))
    for m, j in itertools.product(range(len(rows)), repeat=2):
        triples = list(zip(rows[m], rows[j], truth, strict=True))
        assert disagreement[m, j].item() == sum(a != b for a, b, _ in triples) / len(triples)
        assert fault[m, j].item() == sum(a != y and b != y for a, b, y in triples) / len(triples)
        assert q[m, j].item() == pytest.approx(float(naive_q(rows[m], rows[j], truth)), abs=1e-15)


@settings(deadline=None)
@given(data=predicted())
def test_measures_of_pairs_are_symmetric_and_bounded(data):
    predictions, labels = data
    disagreement, q, fault = pairwise_disagreement(predictions), q_statistic(*data), double_fault(*data)
    for matrix, lowest in ((disagreement, 0), (q, -1), (fault, 0)):
        assert torch.equal(matrix, matrix.T)
        assert (matrix >= lowest).all()
        assert (matrix <= 1).all()
    error_rates = (predictions != labels).double().mean(1)
    assert disagreement.diagonal().tolist() == [0.0] * len(predictions)
    assert torch.equal(fault.diagonal(), error_rates)
    assert q.diagonal().tolist() == [1.0 if 0 < rate < 1 else 0.0 for rate in error_rates.tolist()]
    assert (fault <= torch.minimum(error_rates, error_rates.unsqueeze(1))).all()


@settings(deadline=None)
@given(data=predicted())
def test_disagreement_obeys_the_triangle_inequality(data):
    disagreement = pairwise_disagreement(data[0])
    for m, j, via in itertools.product(range(len(disagreement)), repeat=3):
        assert disagreement[m, j] <= disagreement[m, via] + disagreement[via, j] + 1e-12


def test_closed_forms_by_hand():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    predictions = torch.tensor(
        [
            [0, 0, 0, 0, 1, 1, 0, 0, 0, 1],  # right: 1111 1100 00
            [0, 0, 0, 1, 1, 0, 1, 0, 1, 1],  # right: 1110 1010 00
        ]
    )
    assert pairwise_disagreement(predictions)[0, 1].item() == 0.4
    assert double_fault(predictions, labels)[0, 1].item() == 0.3
    assert q_statistic(predictions, labels)[0, 1].item() == pytest.approx((4 * 3 - 2 * 1) / (4 * 3 + 2 * 1))


def test_exits_wrong_in_different_ways_disagree_but_share_the_fault():
    predictions, labels = torch.tensor([[1, 2], [2, 1]]), torch.tensor([0, 0])
    assert pairwise_disagreement(predictions)[0, 1].item() == 1
    assert double_fault(predictions, labels)[0, 1].item() == 1


def test_q_reaches_its_extremes():
    right = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]])
    q = q_statistic(right, torch.ones_like(right[0]))
    assert q[0].tolist() == [1, 1, -1, 0]


@pytest.mark.parametrize("constant", [0, 1])
def test_q_with_an_exit_that_is_always_right_or_always_wrong_is_zero(constant):
    predictions = torch.tensor([[constant] * 4, [0, 1, 0, 1]])
    q = q_statistic(predictions, torch.zeros(4, dtype=torch.int64))
    assert q.tolist() == [[0, 0], [0, 1]]


def test_q_of_many_samples_does_not_overflow():
    right = torch.tensor([1, 1, 1, 0]).repeat(500_000)
    q = q_statistic(torch.stack([right, right, 1 - right]), torch.ones_like(right))
    assert q[0].tolist() == [1, 1, -1]


@settings(deadline=None, max_examples=200)
@given(data=predicted())
def test_overthinking_and_its_opposite_account_for_the_scores(data):
    predictions, labels = data
    right = predictions == labels
    accuracies = right.double().mean(1)
    oracle = right.any(0).double().mean().item()
    lost_since_first = (right[0] & ~right[-1]).double().mean().item()
    assert overthinking(*data) == pytest.approx(oracle - accuracies[-1].item(), abs=1e-12)
    assert late_correction(*data) - lost_since_first == pytest.approx(
        (accuracies[-1] - accuracies[0]).item(), abs=1e-12
    )
    assert lost_since_first <= overthinking(*data)


def test_overthinking_asks_any_earlier_exit_and_late_correction_the_first():
    right = torch.tensor(
        [
            [0, 1, 0, 1, 0, 1, 0, 1],
            [0, 0, 1, 1, 0, 0, 1, 1],
            [0, 0, 0, 0, 1, 1, 1, 1],
        ]
    )
    labels = torch.ones_like(right[0])
    assert overthinking(right, labels) == 3 / 8
    assert late_correction(right, labels) == 2 / 8


def test_one_exit_neither_overthinks_nor_corrects():
    predictions = torch.tensor([[0, 1, 1]])
    assert overthinking(predictions, torch.tensor([1, 1, 0])) == 0
    assert late_correction(predictions, torch.tensor([1, 1, 0])) == 0


@pytest.mark.parametrize("measure", [q_statistic, double_fault, overthinking, late_correction])
@pytest.mark.parametrize("labels", [torch.zeros(1), torch.zeros(2), torch.zeros(2, 3), torch.tensor(0)])
def test_labels_of_another_shape_are_refused(measure, labels):
    with pytest.raises(ValueError, match=r"`labels` of shape \[3\], but got"):
        measure(torch.zeros(2, 3), labels)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (2, 0), (0, 3)])
def test_predictions_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"`predictions` of shape \[exits, samples\], but got"):
        pairwise_disagreement(torch.zeros(shape))
