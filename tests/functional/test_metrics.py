from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import accuracy as reference_accuracy
from torchmetrics.functional import f1_score as reference_f1
from torchmetrics.functional import matthews_corrcoef as reference_matthews
from torchmetrics.functional import precision as reference_precision
from torchmetrics.functional import recall as reference_recall
from torchmetrics.functional.classification import (
    multiclass_auroc,
    multiclass_average_precision,
    multilabel_auroc,
    multilabel_average_precision,
)

from ee_lightning.errors import OptionError
from ee_lightning.functional import (
    CLASSIFICATION_METRICS,
    Kind,
    Target,
    accuracy,
    balanced_accuracy,
    check_metrics,
    classification_counts,
    counting_of,
    f1,
    matthews,
    rank_score,
)
from ee_lightning.functional.metrics import averaged

REFERENCES = {"f1": reference_f1, "precision": reference_precision, "recall": reference_recall}


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
    for average, score in product(("macro", "weighted"), REFERENCES):
        expected = REFERENCES[score](predictions, labels, average=average, **options)
        assert averaged(counts, actual, score, average).item() == pytest.approx(expected.item(), abs=1e-6)
    for score, reference in REFERENCES.items():
        by_class = [counting_of(Target.of(num_classes)).metric(f"{score}_{each}") for each in range(num_classes)]
        expected = reference(predictions, labels, average="none", **options).tolist()
        assert [metric(counts, actual).item() for metric in by_class] == pytest.approx(expected, abs=1e-6)
    recalls = reference_recall(predictions, labels, average="none", **options)
    assert balanced_accuracy(counts, actual).item() == pytest.approx(recalls[actual > 0].mean().item(), abs=1e-6)
    if num_classes > 2:  # also where it is undefined
        expected = reference_matthews(predictions, labels, **options)
        assert matthews(counts, actual).item() == pytest.approx(expected.item(), abs=1e-5)


@given(data=classified(max_classes=2))
@settings(deadline=None, max_examples=200)
def test_f1_and_matthews_of_two_classes_are_those_of_torchmetrics_and_zero_where_undefined(data):
    predictions, labels, _ = data
    counts, actual = counted(predictions, labels, 2)
    for score, reference in REFERENCES.items():
        expected = reference(predictions, labels, task="binary")
        assert CLASSIFICATION_METRICS[score](counts, actual).item() == pytest.approx(expected.item(), abs=1e-6)
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


RANKED = {
    "auroc": (multiclass_auroc, multilabel_auroc),
    "average_precision": (multiclass_average_precision, multilabel_average_precision),
}


@pytest.mark.parametrize("name", RANKED)
def test_metrics_of_ranks_are_those_of_torchmetrics(name):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(60, 3, generator=generator)
    labels, sets = torch.randint(3, (60,), generator=generator), torch.randint(2, (60, 3), generator=generator)
    of_classes, of_labels = RANKED[name]
    expected = of_classes(logits.softmax(-1), labels, num_classes=3).item()
    assert rank_score(name, logits, labels, Kind.SINGLE_LABEL) == pytest.approx(expected, abs=1e-6)
    expected = of_labels(logits.sigmoid(), sets, num_labels=3).item()
    assert rank_score(name, logits, sets, Kind.MULTI_LABEL) == pytest.approx(expected, abs=1e-6)
    expected = of_classes(logits[:, :2].softmax(-1), labels % 2, num_classes=2, average="none")[1].item()
    assert rank_score(name, logits[:, :2], labels % 2, Kind.SINGLE_LABEL) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", RANKED)
def test_ranks_leave_out_classes_that_all_samples_have_or_none(name):
    logits = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 2
    assert 0 < rank_score(name, logits, labels, Kind.SINGLE_LABEL) < 1
    sets = torch.stack([labels, torch.zeros_like(labels)], dim=-1)  # [samples, labels]
    of_both, of_first = (rank_score(name, logits[:, :n], sets[:, :n], Kind.MULTI_LABEL) for n in (2, 1))
    assert of_both == of_first > 0
    assert rank_score(name, logits, torch.zeros(20, dtype=torch.int64), Kind.SINGLE_LABEL) == 0


def test_metrics_of_every_class_are_named_by_their_numbers():
    asked = ["macro_f1", "class_f1", "auroc"]
    assert check_metrics(asked, Target.of(3), "x") == ["macro_f1", "f1_0", "f1_1", "f1_2", "auroc"]
    assert check_metrics(["micro_f1", "recall_1"], Target.of(2, multi_label=True), "x") == ["micro_f1", "recall_1"]


@pytest.mark.parametrize(
    ("names", "target", "said"),
    [
        (["macrof1"], Target.of(3), r"macrof1 is no metric here[\s\S]*did you mean macro_f1\?"),
        (["f1_3"], Target.of(3), "f1_3 is no metric here"),
        (["f1_0"], Target.of(1), "f1_0 is no metric here"),
        (["precision"], Target.of(3), "precision is for two labels"),
        (["auroc", "accuracy"], Target.of(3), r"curves show accuracy, [\s\S]*name accuracy first"),
        (["spearman"], Target.of(1), "curves show pearson only"),
    ],
)
def test_metrics_that_do_not_suit_are_refused(names, target, said):
    with pytest.raises(OptionError, match=said):
        check_metrics(names, target, "--data.metrics")
