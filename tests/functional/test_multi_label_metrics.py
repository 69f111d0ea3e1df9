"""Metrics of several labels a sample against a loop and torchmetrics."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import exact_match, f1_score, precision, recall

from ee_lightning.functional import MULTI_LABEL_METRICS, Target, counting_of, label_counts, label_sizes, weighted_scores

shapes = st.fixed_dictionaries(
    {"samples": st.integers(1, 9), "labels": st.integers(2, 6), "seed": st.integers(0, 2**32)}
)


def make(samples, labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    predictions, labels = torch.randint(2, (2, samples, labels), generator=generator)
    return predictions.bool(), labels


def f1_by_hand(predicted, true):
    right = sum(p and t for p, t in zip(predicted, true, strict=True))
    size = sum(predicted) + sum(true)
    return 2 * right / size if size else 0


@settings(deadline=None, max_examples=50)
@given(shape=shapes)
def test_metrics_of_counts_are_those_of_a_loop_and_of_torchmetrics(shape):
    predictions, labels = make(**shape)
    counts, sizes = label_counts(predictions, labels).sum(0), label_sizes(labels).sum(0)
    scores = {name: metric(counts, sizes).item() for name, metric in MULTI_LABEL_METRICS.items()}
    said, true = predictions.tolist(), labels.tolist()
    by_label = [f1_by_hand(*both) for both in zip(zip(*said, strict=True), zip(*true, strict=True), strict=True)]
    assert {name: scores[name] for name in ("micro_f1", "macro_f1", "exact_match")} == pytest.approx(
        {
            "micro_f1": f1_by_hand(*([flag for row in rows for flag in row] for rows in (said, true))),
            "macro_f1": sum(by_label) / len(by_label),
            "exact_match": sum(map(list.__eq__, said, true)) / len(true),
        }
    )
    options = {"task": "multilabel", "num_labels": len(by_label)}
    references = {"f1": f1_score, "precision": precision, "recall": recall}
    for name in scores.keys() - {"exact_match"}:
        average, score = name.split("_")
        expected = references[score](predictions.long(), labels, average=average, **options).item()
        assert scores[name] == pytest.approx(expected, abs=1e-6)
    of_first = counting_of(Target.of(len(by_label), multi_label=True)).metric("f1_0")
    assert of_first(counts, sizes).item() == pytest.approx(by_label[0])
    assert scores["exact_match"] == pytest.approx(exact_match(predictions.long(), labels, **options).item(), abs=1e-6)


@pytest.mark.parametrize("metric", MULTI_LABEL_METRICS)
def test_weighted_scores_are_those_of_repeated_samples(metric):
    predictions, labels = make(6, 3)
    weights = torch.randint(1, 4, (4, 6), generator=torch.Generator().manual_seed(1))
    scores = weighted_scores(predictions, labels, weights, metric, 3)
    for row, score in zip(weights, scores.tolist(), strict=True):
        said, true = ((each.repeat_interleave(row, dim=0)) for each in (predictions, labels))
        expected = MULTI_LABEL_METRICS[metric](label_counts(said, true).sum(0), label_sizes(true).sum(0))
        assert score == pytest.approx(expected.item())
