import pytest
import torch
from factories import stored

from ee_lightning.errors import OptionError
from ee_lightning.exits import CAP, Energy, replay

LOGITS = torch.tensor([[[2.0, 0.5, -1.0], [0.0, 0.1, 0.0]], [[3.0, -3.0, 0.0], [0.0, 4.0, 0.0]]])
UNSEEN = torch.tensor([[0.5, 0.9], [0.2, 0.7]])


@pytest.mark.parametrize("alpha", [0.0, 0.1, 3.0])
def test_orders_as_the_last_entry_of_the_authors_softmax(alpha):
    """One minus that entry, of the softmax of the logits and alpha times what they don't see, is the sigmoid of it."""
    last = torch.cat([LOGITS, alpha * UNSEEN.unsqueeze(-1)], dim=-1).softmax(-1)[..., -1]
    replayed = replay(CAP(alpha), stored(LOGITS, None, {"nsp": UNSEEN}))
    torch.testing.assert_close(1 - replayed.scores.sigmoid(), last)
    assert torch.equal(replayed.labels, LOGITS.argmax(-1))


def test_without_alpha_it_is_the_energy():
    exits = stored(LOGITS, None, {"nsp": UNSEEN})
    assert torch.equal(replay(CAP(0.0), exits).scores, replay(Energy(), exits).scores)


def test_exits_without_the_extra_are_refused():
    with pytest.raises(OptionError, match=r"(?s)reads the extra 'nsp'.*model.heads.nsp true"):
        replay(CAP(), stored(LOGITS, None, {"gate": UNSEEN}))


def test_a_negative_weight_is_refused():
    with pytest.raises(OptionError, match=r"CAP.alpha"):
        CAP(-0.1)
