import pytest
import torch
from factories import exits_of_probabilities, random_exits, stored

from ee_lightning.exits import RunningEnsemble, replay


def test_score_is_the_largest_of_the_geometric_mean_of_the_exits_so_far():
    exits = random_exits(5, 30, 4)
    probabilities = exits.logits.double().softmax(-1)  # [exits, samples, classes]
    replayed = replay(RunningEnsemble(), exits)
    for m in range(1, 6):
        product = probabilities[:m].prod(0) ** (1 / m)  # [samples, classes]
        mean = product / product.sum(-1, keepdim=True)
        torch.testing.assert_close(replayed.scores[m - 1].double(), mean.amax(-1), atol=1e-6, rtol=1e-5)
        assert torch.equal(replayed.labels[m - 1], mean.argmax(-1))
    assert torch.equal(replayed.fallback, replayed.labels[-1])


def test_exits_that_say_the_same_stay_as_sure_as_one():
    replayed = replay(RunningEnsemble(), exits_of_probabilities([[0.7, 0.2, 0.1]] * 6))
    assert replayed.scores.squeeze(-1).tolist() == pytest.approx([0.7] * 6)


def test_one_exit_that_rules_a_class_out_is_not_the_last_word():
    logits = torch.full((4, 1, 2), 0.0)
    logits[0, 0, 0], logits[1:, 0, 0] = -1e30, 60.0
    replayed = replay(RunningEnsemble(), stored(logits))
    assert replayed.labels.squeeze(-1).tolist() == [1, 1, 0, 0]
