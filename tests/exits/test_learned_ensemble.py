import pytest
import torch
from factories import random_exits, stored
from torch.nn.functional import cross_entropy

from ee_lightning.exits import LearnedEnsemble, RunningEnsemble, replay


def informed(num_samples, *, seed, knowledge=(0.2, 1.0, 3.0), num_classes=3):
    """Return exits whose logits favour the label, each by another amount."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(num_classes, (num_samples,), generator=generator)
    favour = torch.nn.functional.one_hot(labels, num_classes) * torch.tensor(knowledge).view(-1, 1, 1)
    noise = torch.randn(len(knowledge), num_samples, num_classes, generator=generator)
    return stored(favour + noise, labels)


def test_score_is_the_largest_of_the_weighted_geometric_mean():
    exits = random_exits(3, 20, 2)
    weights, biases = [[2.0, 0.0, 0.0], [0.5, -1.5, 0.0], [0.25, 0.5, 1.0]], [[0.0, 0.0], [0.5, -0.5], [0.0, 1.0]]
    criterion = LearnedEnsemble()
    criterion.restore({"num_exits": 3, "num_classes": 2, "weights": weights, "biases": biases})
    replayed = replay(criterion, exits)
    logits = torch.einsum("mj,jnc->mnc", torch.tensor(weights), exits.logits.log_softmax(-1))
    mean = (logits + torch.tensor(biases).unsqueeze(1)).softmax(-1)  # [exits, samples, classes]
    torch.testing.assert_close(replayed.scores, mean.amax(-1))
    assert torch.equal(replayed.labels, mean.argmax(-1))
    assert torch.equal(replayed.fallback, mean[-1].argmax(-1))


def test_equal_weights_are_the_running_ensemble():
    exits = random_exits(3, 20, 2)
    criterion = LearnedEnsemble()
    weights = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]
    criterion.restore({"num_exits": 3, "num_classes": 2, "weights": weights, "biases": [[0.0, 0.0]] * 3})
    torch.testing.assert_close(replay(criterion, exits).scores, replay(RunningEnsemble(), exits).scores)


def test_exits_that_know_more_weigh_more_and_new_samples_are_likelier():
    criterion = LearnedEnsemble()
    criterion.fit(informed(2000, seed=0))
    first, second, third = criterion.fitted["weights"][2]
    assert first < second < third
    fresh = informed(2000, seed=1)
    learned, equal = replay(criterion, fresh), replay(RunningEnsemble(), fresh)
    accuracy = [(replayed.labels[-1] == fresh.labels).float().mean().item() for replayed in (learned, equal)]
    assert accuracy[0] > accuracy[1] + 0.02


def test_the_last_mean_is_likelier_on_the_calibration_split_than_any_exit():
    exits = informed(500, seed=0)
    criterion = LearnedEnsemble()
    criterion.fit(exits)
    log_probabilities = exits.logits.log_softmax(-1)
    weights, biases = (torch.tensor(criterion.fitted[name]) for name in ("weights", "biases"))
    fitted = torch.einsum("j,jnc->nc", weights[-1], log_probabilities) + biases[-1]
    best_exit = min(cross_entropy(logits, exits.labels).item() for logits in exits.logits)
    assert cross_entropy(fitted, exits.labels).item() < best_exit - 0.01


@pytest.mark.parametrize("knowledge", [(0.0, 0.0), (50.0, 50.0)])
def test_exits_that_know_nothing_or_all_have_weights_within_reason(knowledge):
    criterion = LearnedEnsemble()
    criterion.fit(informed(200, seed=0, knowledge=knowledge))
    assert torch.tensor(criterion.fitted["weights"]).abs().max() < 3
    assert torch.tensor(criterion.fitted["biases"]).abs().max() < 3
