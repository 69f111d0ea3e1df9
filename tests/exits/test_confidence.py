import math

import pytest
import torch

from ee_lightning.exits import Confidence, ExitOutput, StoredExits, replay


def test_score_is_the_largest_probability():
    logits = torch.tensor([[0.0, math.log(3)], [math.log(9), 0.0], [0.0, 0.0]])
    decision, _ = Confidence().step(ExitOutput(1, 2, logits), {})
    assert decision.score.tolist() == pytest.approx([0.75, 0.9, 0.5])
    assert decision.label.tolist() == [1, 0, 0]


def test_leaves_at_the_first_exit_that_is_sure_enough():
    logits = torch.tensor([0.2, -1.5, 1.0, 9.0]).view(4, 1, 1) * torch.tensor([1.0, 0.0])
    replayed = replay(Confidence(), StoredExits(logits, None, torch.arange(1)))
    assert [tuple(part.item() for part in replayed.at(tau)) for tau in (0.0, 0.8, 0.9, 1.0)] == [
        (1, 0),
        (2, 1),
        (4, 0),
        (4, 0),
    ]


def test_half_precision_logits_are_judged_in_single_precision():
    logits = torch.tensor([[6.0, -6.0]])
    decision, _ = Confidence().step(ExitOutput(1, 1, logits.bfloat16()), {})
    assert torch.equal(decision.score, logits.softmax(-1).amax(-1))
