import pytest
from factories import exits_predicting

from ee_lightning.errors import OptionError
from ee_lightning.exits import Oracle, replay


def test_leaves_at_the_first_right_exit_else_at_the_last():
    predictions = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 2]]
    exit_layer, label = replay(Oracle(), exits_predicting(predictions, labels=[1, 1, 1, 1])).at(1)
    assert exit_layer.tolist() == [1, 2, 3, 3]
    assert label.tolist() == [1, 1, 0, 2]


def test_labels_are_required():
    with pytest.raises(OptionError, match=r"(?s)oracle needs the true labels.*hint:"):
        replay(Oracle(), exits_predicting([[0]]))
