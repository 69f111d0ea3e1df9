"""The scores of every exit, which must be those of the curve of fixed exits."""

import pytest
import torch
from factories import stored
from torch import Tensor
from torch.nn.functional import one_hot

from ee_lightning.exits import Fixed, StoredExits, trace_curve
from ee_lightning.training.recorder import exit_scores

CLASSIFICATION = ["accuracy", "f1", "macro_f1", "matthews"]


@pytest.mark.parametrize("collapsed", [False, True], ids=["mixed", "an exit that predicts one class"])
def test_scores_are_those_of_the_curve(collapsed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 25, 2, generator=generator)
    if collapsed:
        logits[1] = torch.tensor([0.0, 1.0])
    labels = torch.randint(2, (25,), generator=generator)
    scores = _scores(logits, labels, CLASSIFICATION)
    _assert_on_the_curve(scores, logits, labels)
    assert (scores["matthews"][1] == 0) == collapsed


@pytest.mark.parametrize("num_classes", [3, 20])
def test_scores_of_many_classes_are_those_of_the_curve(num_classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(num_classes, (200,), generator=generator)
    logits = torch.randn(4, 200, num_classes, generator=generator) + 2 * one_hot(labels, num_classes)
    _assert_on_the_curve(_scores(logits, labels, ["accuracy", "macro_f1", "matthews"]), logits, labels)


@pytest.mark.parametrize("constant", [None, 1, "labels"])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_correlations_are_those_of_the_curve_and_of_the_ranks(constant: object, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = (5 * torch.rand(60, generator=generator)).round(decimals=1)  # some are equal
    values = 2.5 + scale * (labels + torch.randn(4, 60, generator=generator))
    if constant == "labels":
        labels = torch.full_like(labels, 2.2)
    elif constant is not None:
        values[constant] = 0.1
    scores = _scores(values.unsqueeze(-1), labels, ["pearson", "spearman"])
    _assert_on_the_curve({"pearson": scores["pearson"]}, values.unsqueeze(-1), labels)
    for index, value in enumerate(values):
        is_constant = constant in (index, "labels")
        expected = 0.0 if is_constant else torch.corrcoef(torch.stack([_ranks(value), _ranks(labels)]))[0, 1].item()
        assert scores["spearman"][index] == pytest.approx(expected, rel=1e-5)
        assert (scores["pearson"][index] == 0) == is_constant


@pytest.mark.parametrize("num_labels", [2, 30])
def test_scores_of_several_labels_are_those_of_the_curve(num_labels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(60, num_labels, generator=generator) < 0.2).long()
    logits = torch.randn(4, 60, num_labels, generator=generator) + 2 * labels - 1
    logits[1] = -1.0  # an exit that predicts nothing
    labels[:, 1] = 0  # a label that never occurs
    scores = _scores(logits, labels, ["micro_f1", "macro_f1", "exact_match"])
    _assert_on_the_curve(scores, logits, labels)
    assert scores["micro_f1"][1] == 0


def _exits(logits: Tensor, labels: Tensor) -> StoredExits:
    return stored(logits, labels, multi_label=labels.ndim == 2)


def _scores(logits: Tensor, labels: Tensor, metrics: list[str]) -> dict[str, list[float]]:
    return exit_scores(_exits(logits, labels), metrics)


def _assert_on_the_curve(scores: dict[str, list[float]], logits: Tensor, labels: Tensor) -> None:
    curve = trace_curve(Fixed(), _exits(logits, labels), list(scores))
    for name, by_exit in scores.items():
        expected = [curve.scores[name][curve.index_at(exit_layer)].item() for exit_layer in (1, 2, 3, 4)]
        assert by_exit == pytest.approx(expected, rel=1e-5)


def _ranks(values: Tensor) -> Tensor:
    """Rank values from 1, equal ones by the mean of their ranks."""
    below, equal = ((compare(values, values[:, None])).double().sum(1) for compare in (torch.lt, torch.eq))
    return below + (equal + 1) / 2


def test_closed_forms() -> None:
    logits = torch.tensor([[[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])  # one exit says 1, 1, 0, 1
    scores = _scores(logits, torch.tensor([1, 0, 0, 1]), ["accuracy", "f1", "matthews"])
    assert scores["accuracy"] == [0.75]
    assert scores["f1"] == pytest.approx([0.8])
    assert scores["matthews"] == pytest.approx([1 / 3**0.5])
