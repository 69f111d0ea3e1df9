import math

import pytest
import torch
from factories import stored

from ee_lightning.exits import Entropy, ExitOutput, replay


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_score_of_equal_logits_is_minus_the_logarithm_of_the_classes(classes):
    decision, _ = Entropy().step(ExitOutput(1, 1, torch.ones(1, classes)), {})
    assert decision.score.item() == pytest.approx(-math.log(classes))


def test_score_is_minus_the_entropy_in_nats():
    probabilities = torch.tensor([[0.25, 0.75], [0.9, 0.1]])
    decision, _ = Entropy().step(ExitOutput(1, 1, probabilities.log()), {})
    expected = [sum(p * math.log(p) for p in row) for row in probabilities.tolist()]
    assert decision.score.tolist() == pytest.approx(expected)
    assert decision.label.tolist() == [1, 0]


def test_a_certain_prediction_scores_zero():
    decision, _ = Entropy().step(ExitOutput(1, 1, torch.tensor([[300.0, -300.0]])), {})
    assert decision.score.item() == 0


def test_threshold_is_the_largest_entropy_allowed_with_its_sign_turned():
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, 1.0]], [[5.0, 0.0]]])
    replayed = replay(Entropy(), stored(logits))
    assert [replayed.at(-largest)[0].item() for largest in (0.7, 0.6, 0.1, 0.0)] == [1, 2, 3, 3]
