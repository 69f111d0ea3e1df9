import pytest
import torch
from factories import stored

from ee_lightning.errors import OptionError
from ee_lightning.exits import QExit, replay

GOES_ON = torch.tensor([[0.75, 0.25], [0.5, 0.5], [1.0, 0.25]])  # [exits, samples]


@pytest.mark.parametrize("num_classes", [1, 3])
def test_leaves_once_it_is_likely_enough_to_have_left(num_classes):
    logits = torch.randn(3, 2, num_classes, generator=torch.Generator().manual_seed(0))
    replayed = replay(QExit(), stored(logits, None, {"gate": GOES_ON}))
    left_by = [[0.25, 0.75], [1 - 0.75 / 2, 1 - 0.25 / 2], [1 - 0.75 / 2, 1 - 0.25 / 8]]
    assert replayed.scores.tolist() == left_by
    assert [replayed.at(q)[0].tolist() for q in (0.25, 0.5, 0.7, 0.9)] == [[1, 1], [2, 1], [3, 1], [3, 3]]
    assert torch.equal(replayed.labels, logits.squeeze(-1) if num_classes == 1 else logits.argmax(-1))


def test_a_missing_gate_is_named():
    with pytest.raises(
        OptionError, match=r"(?s)reads the extra 'gate', and these exits have no extras.*leave q_exit out"
    ):
        replay(QExit(), stored(torch.zeros(3, 2, 2)))
