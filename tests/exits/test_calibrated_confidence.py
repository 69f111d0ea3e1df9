import pytest
import torch
from factories import random_exits, stored

from ee_lightning.exits import CalibratedConfidence, Confidence, replay


def overconfident(num_samples, *, scale, seed):
    """Return exits whose logits are those of the true posterior, times a scale per exit."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(scale), num_samples, 3, generator=generator)
    # One posterior serves all exits: the labels are drawn from the first one's.
    logits = logits[:1].expand_as(logits)
    labels = torch.multinomial(logits[0].softmax(-1), 1, generator=generator).squeeze(-1)
    return stored(logits * torch.tensor(scale).view(-1, 1, 1), labels)


def test_the_temperatures_undo_what_the_exits_overstate():
    criterion = CalibratedConfidence()
    criterion.fit(overconfident(20_000, scale=[1.0, 4.0, 0.25], seed=0))
    assert criterion.fitted["temperatures"] == pytest.approx([1.0, 4.0, 0.25], rel=0.05)


def test_the_score_is_the_largest_probability_at_that_temperature():
    exits = random_exits(3, 20, 4)
    criterion = CalibratedConfidence()
    criterion.restore({"num_exits": 3, "num_classes": 4, "temperatures": [1.0, 2.0, 0.5]})
    replayed = replay(criterion, exits)
    expected = (exits.logits / torch.tensor([1.0, 2.0, 0.5]).view(-1, 1, 1)).softmax(-1).amax(-1)
    torch.testing.assert_close(replayed.scores, expected)
    assert torch.equal(replayed.labels, exits.logits.argmax(-1))
    torch.testing.assert_close(replayed.scores[0], replay(Confidence(), exits).scores[0])


def test_calibrated_scores_say_how_often_an_exit_is_right():
    criterion = CalibratedConfidence()
    criterion.fit(overconfident(20_000, scale=[5.0, 0.3], seed=0))
    fresh = overconfident(20_000, scale=[5.0, 0.3], seed=1)
    replayed = replay(criterion, fresh)
    is_right = (replayed.labels == fresh.labels).float()
    torch.testing.assert_close(replayed.scores.mean(1), is_right.mean(1), atol=0.02, rtol=0)
    assert (replay(Confidence(), fresh).scores.mean(1) - is_right.mean(1)).abs().min() > 0.05
