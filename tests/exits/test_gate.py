import pytest
import torch
from factories import stored

from ee_lightning.errors import OptionError
from ee_lightning.exits import Gate, replay

WRONG = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.125, 0.25]])


@pytest.mark.parametrize("num_classes", [1, 3])
def test_leaves_at_the_first_exit_that_is_unlikely_enough_to_be_wrong(num_classes):
    logits = torch.randn(3, 2, num_classes, generator=torch.Generator().manual_seed(0))
    replayed = replay(Gate(), stored(logits, None, {"gate": WRONG}))
    assert [replayed.at(-wrong)[0].tolist() for wrong in (0.75, 0.5, 0.25, 0.1)] == [[1, 1], [2, 1], [3, 1], [3, 3]]
    assert torch.equal(replayed.labels, logits.squeeze(-1) if num_classes == 1 else logits.argmax(-1))


@pytest.mark.parametrize(("extras", "found"), [({}, "no extras"), ({"depth": WRONG}, "have depth")])
def test_a_missing_gate_is_named(extras, found):
    with pytest.raises(OptionError, match=rf"(?s)reads the extra 'gate', and these exits.*{found}.*leave the gate out"):
        replay(Gate(), stored(torch.zeros(3, 2, 2), None, extras))
