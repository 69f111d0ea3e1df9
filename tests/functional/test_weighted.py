"""Scores of many data sets at once."""

from functools import partial

import pytest
import torch
from torchmetrics.functional import accuracy, f1_score, matthews_corrcoef, pearson_corrcoef

from ee_lightning.functional import weighted_scores

REFERENCES = {
    "accuracy": partial(accuracy, task="multiclass", num_classes=3),
    "matthews": partial(matthews_corrcoef, task="multiclass", num_classes=3),
    "f1": partial(f1_score, task="binary"),
    "pearson": pearson_corrcoef,
}


@pytest.mark.parametrize(("metric", "classes"), [("accuracy", 3), ("matthews", 3), ("f1", 2), ("pearson", 1)])
def test_a_data_set_scores_as_if_its_samples_were_written_out(metric, classes):
    generator = torch.Generator().manual_seed(0)
    shape = (2, 12)
    said, labels = (
        torch.rand(shape, generator=generator) if classes == 1 else torch.randint(classes, shape, generator=generator)
    )
    weights = torch.randint(4, (5, 12), generator=generator)
    expected = [
        REFERENCES[metric](said.repeat_interleave(row), labels.repeat_interleave(row)).item() for row in weights
    ]
    assert weighted_scores(said, labels, weights, metric, classes).tolist() == pytest.approx(expected, abs=1e-6)


def test_values_far_from_the_labels_are_scored_as_exactly():
    generator = torch.Generator().manual_seed(0)
    labels = 100 + 30 * torch.randn(50, generator=generator)
    said = 0.034 + 1e-5 * torch.randn(50, generator=generator)  # of a model that has hardly been trained
    expected = torch.corrcoef(torch.stack([said, labels]).double())[0, 1].item()
    assert weighted_scores(said, labels, torch.ones(1, 50), "pearson", 1).item() == pytest.approx(expected, abs=1e-6)


def test_a_metric_that_does_not_suit_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        weighted_scores(torch.tensor([0]), torch.tensor([2]), torch.ones(1, 1), "f1", 3)
