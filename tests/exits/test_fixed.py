import pytest
from factories import exits_predicting

from ee_lightning.exits import Fixed, replay, trace_curve


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_threshold_is_the_layer_at_which_all_leave(layer):
    predictions = [[0, 1], [2, 3], [1, 0]]
    exit_layer, label = replay(Fixed(), exits_predicting(predictions)).at(layer)
    assert exit_layer.tolist() == [layer, layer]
    assert label.tolist() == predictions[layer - 1]


def test_curve_goes_through_all_truncated_models():
    exits = exits_predicting([[0, 1], [2, 1], [2, 3]], labels=[2, 3])
    curve = trace_curve(Fixed(), exits, ["accuracy"])
    assert curve.mean_exit.tolist() == [3, 3, 2, 1]
    assert curve.scores["accuracy"].tolist() == [1.0, 1.0, 0.5, 0.0]
