import math

import pytest
import torch
from factories import random_exits, stored

from ee_lightning.exits import Entropy, ExitOutput, NormalisedEntropy, replay


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_scores_lie_between_that_of_equal_logits_and_that_of_certainty(classes):
    logits = torch.stack([torch.ones(classes), 1000 * torch.eye(classes)[0]])
    decision, _ = NormalisedEntropy().step(ExitOutput(1, 1, logits), {})
    assert decision.score.tolist() == pytest.approx([-1, 0])


@pytest.mark.parametrize("classes", [2, 5])
def test_score_is_that_of_the_entropy_over_its_largest_value(classes):
    exits = random_exits(4, 50, classes)
    expected = replay(Entropy(), exits).scores / math.log(classes)
    torch.testing.assert_close(replay(NormalisedEntropy(), exits).scores, expected)


def test_the_speed_of_fastbert_is_the_threshold_with_its_sign_turned():
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, 1.0]], [[5.0, 0.0]]])
    replayed = replay(NormalisedEntropy(), stored(logits))
    assert [replayed.at(-speed)[0].item() for speed in (1.0, 0.9, 0.1, 0.0)] == [1, 2, 3, 3]
