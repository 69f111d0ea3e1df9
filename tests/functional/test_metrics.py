import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import accuracy as reference_accuracy
from torchmetrics.functional import f1_score as reference_f1
from torchmetrics.functional import matthews_corrcoef as reference_matthews

from ee_lightning.functional import CLASSIFICATION_METRICS, accuracy, classification_counts, f1, macro_f1, matthews


@st.composite
def classified(draw, min_classes=2, max_classes=5):
    """Draw predictions and labels, often of few classes out of many."""
    num_classes = draw(st.integers(min_classes, max_classes))
    samples = draw(st.integers(1, 20))
    predictions, labels = (
        draw(st.lists(st.sampled_from(among), min_size=samples, max_size=samples))
        for among in (
            draw(st.lists(st.integers(0, num_classes - 1), min_size=1, unique=True)),
            draw(st.lists(st.integers(0, num_classes - 1), min_size=1, unique=True)),
        )
    )
    return torch.tensor(predictions), torch.tensor(labels), num_classes


def counted(predictions, labels, num_classes):
    counts = classification_counts(predictions, labels, num_classes).sum(0)
    return counts, labels.bincount(minlength=num_classes)


@given(data=classified())
@settings(deadline=None, max_examples=200)
def test_counts_are_true_positives_and_predictions_and_their_metrics_those_of_torchmetrics(data):
    predictions, labels, num_classes = data
    counts, actual = counted(predictions, labels, num_classes)
    pairs = list(zip(predictions.tolist(), labels.tolist(), strict=True))
    assert counts.dtype == torch.int64
    assert counts[:num_classes].tolist() == [pairs.count((c, c)) for c in range(num_classes)]
    assert counts[num_classes:].tolist() == [predictions.tolist().count(c) for c in range(num_classes)]
    options = {"task": "multiclass", "num_classes": num_classes}
    expected = reference_accuracy(predictions, labels, average="micro", **options)
    assert accuracy(counts, actual).dtype == torch.float64
    assert accuracy(counts, actual).item() == pytest.approx(expected.item(), abs=1e-6)
    expected = reference_f1(predictions, labels, average="macro", **options)
    assert macro_f1(counts, actual).item() == pytest.approx(expected.item(), abs=1e-6)
    if num_classes > 2:  # also where it is undefined
        expected = reference_matthews(predictions, labels, **options)
        assert matthews(counts, actual).item() == pytest.approx(expected.item(), abs=1e-5)


@given(data=classified(max_classes=2))
@settings(deadline=None, max_examples=200)
def test_f1_and_matthews_of_two_classes_are_those_of_torchmetrics_and_zero_where_undefined(data):
    predictions, labels, _ = data
    counts, actual = counted(predictions, labels, 2)
    expected = reference_f1(predictions, labels, task="binary")
    assert f1(counts, actual).item() == pytest.approx(expected.item(), abs=1e-6)
    if len(predictions.unique()) == 2 and len(labels.unique()) == 2:
        expected = reference_matthews(predictions, labels, task="binary")
        assert matthews(counts, actual).item() == pytest.approx(expected.item(), abs=1e-5)
    else:
        assert matthews(counts, actual).item() == 0


@pytest.mark.parametrize(("swap", "expected"), [(False, 1.0), (True, -1.0)])
def test_matthews_reaches_its_bounds_exactly(swap, expected):
    labels = torch.arange(7) % 2
    assert matthews(*counted(1 - labels if swap else labels, labels, 2)).item() == expected


@pytest.mark.parametrize("name", CLASSIFICATION_METRICS)
def test_metrics_take_a_whole_curve_at_once(name):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (30,), generator=generator)
    predictions = torch.randint(2, (4, 30), generator=generator)
    counts = classification_counts(predictions, labels.expand(4, -1), 2).sum(1)  # [points, 2 * classes]
    metric, actual = CLASSIFICATION_METRICS[name], labels.bincount(minlength=2)
    assert metric(counts, actual).tolist() == [metric(row, actual).item() for row in counts]


def test_f1_is_zero_where_class_one_neither_occurs_nor_is_predicted():
    nothing = torch.zeros(4, dtype=torch.int64)
    assert f1(*counted(nothing, nothing, 2)).item() == 0


def test_f1_refuses_three_classes():
    labels = torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match="Expected two classes for the metric f1, but got 3"):
        f1(*counted(labels, labels, 3))
