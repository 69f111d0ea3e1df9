import pytest
import torch
from factories import exits_of_probabilities, random_exits

from ee_lightning.exits import Confidence, Margin, replay


def test_score_is_the_lead_over_the_next_class():
    replayed = replay(Margin(), exits_of_probabilities([[0.2, 0.7, 0.1], [0.4, 0.2, 0.4], [0.5, 0.2, 0.3]]))
    assert replayed.scores.squeeze(-1).tolist() == pytest.approx([0.5, 0.0, 0.2])
    assert replayed.labels.squeeze(-1).tolist() == [1, 0, 0]


def test_for_two_classes_it_is_the_confidence_on_another_scale():
    exits = random_exits(3, 40, 2)
    torch.testing.assert_close(replay(Margin(), exits).scores, 2 * replay(Confidence(), exits).scores - 1)


def test_equal_logits_have_no_margin():
    assert (replay(Margin(), random_exits(2, 5, 3, kind="equal")).scores == 0).all()
