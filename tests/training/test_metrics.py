"""The scores of every exit, which must be those of the curve of fixed exits."""

import pytest
import torch

from ee_lightning.exits import Fixed, StoredExits, trace_curve
from ee_lightning.training.metrics import METRICS, exit_scores


@pytest.mark.parametrize("collapsed", [False, True], ids=["mixed", "an exit that predicts one class"])
def test_scores_are_those_of_the_curve(collapsed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 25, 2, generator=generator)
    if collapsed:
        logits[1] = torch.tensor([0.0, 1.0])
    labels = torch.randint(2, (25,), generator=generator)
    scores = exit_scores(logits, labels, list(METRICS))
    curve = trace_curve(Fixed(), StoredExits(logits, labels, torch.arange(25)), list(METRICS))
    for name, by_exit in scores.items():
        expected = [curve.scores[name][curve.index_at(exit_layer)].item() for exit_layer in (1, 2, 3, 4)]
        assert by_exit == pytest.approx(expected)
    assert (scores["matthews"][1] == 0) == collapsed


def test_closed_forms() -> None:
    logits = torch.tensor([[[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])  # one exit says 1, 1, 0, 1
    scores = exit_scores(logits, torch.tensor([1, 0, 0, 1]), ["accuracy", "f1", "matthews"])
    assert scores["accuracy"] == [0.75]
    assert scores["f1"] == pytest.approx([0.8])
    assert scores["matthews"] == pytest.approx([1 / 3**0.5])
