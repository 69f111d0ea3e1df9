import math

import pytest
import torch
from factories import exits_of_probabilities, stored

from ee_lightning.errors import OptionError
from ee_lightning.exits import Confidence, ExitOutput, replay
from ee_lightning.functional import Target


def test_score_is_the_largest_probability():
    logits = torch.tensor([[0.0, math.log(3)], [math.log(9), 0.0], [0.0, 0.0]])
    criterion = Confidence()
    decision, _ = criterion.step(ExitOutput(1, 2, logits), criterion.start(3, Target.of(2), logits.device))
    assert decision.score.tolist() == pytest.approx([0.75, 0.9, 0.5])
    assert decision.label.tolist() == [1, 0, 0]


def test_leaves_at_the_first_exit_that_is_sure_enough():
    logits = torch.tensor([0.2, -1.5, 1.0, 9.0]).view(4, 1, 1) * torch.tensor([1.0, 0.0])
    replayed = replay(Confidence(), stored(logits))
    assert [tuple(part.item() for part in replayed.at(tau)) for tau in (0.0, 0.8, 0.9, 1.0)] == [
        (1, 0),
        (2, 1),
        (4, 0),
        (4, 0),
    ]


def test_fallback_is_the_last_exit_or_the_most_confident_of_all():
    exits = exits_of_probabilities([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]])
    for fallback, expected in (("last", 0), ("most_confident", 1)):
        exit_layer, label = replay(Confidence(fallback), exits).at(0.9)
        assert (exit_layer.item(), label.item()) == (4, expected)


def test_an_unknown_fallback_is_refused():
    with pytest.raises(OptionError, match=r"(?s)'first' is not a value of Confidence.fallback.*last, most_confident"):
        Confidence(fallback="first")
