import pytest

from ee_lightning.exits import Patience, replay


@pytest.mark.parametrize(
    ("predictions", "agreements"),
    [
        ([0], [0]),
        ([0, 0, 0, 0], [0, 1, 2, 3]),
        ([0, 1, 0, 1], [0, 0, 0, 0]),
        ([0, 0, 1, 1, 1, 0], [0, 1, 0, 1, 2, 0]),
        ([2, 0, 0, 2, 2, 2], [0, 0, 1, 0, 1, 2]),
    ],
)
def test_agreements_are_counted_since_the_last_change(exits_predicting, predictions, agreements):
    replayed = replay(Patience(), exits_predicting([[prediction] for prediction in predictions]))
    assert replayed.scores.squeeze(-1).tolist() == agreements
    assert replayed.labels.squeeze(-1).tolist() == predictions
    assert replayed.fallback.item() == predictions[-1]


@pytest.mark.parametrize("patience", range(6))
def test_exits_that_all_agree_let_leave_one_exit_after_the_patience(exits_predicting, patience):
    replayed = replay(Patience(), exits_predicting([[1]] * 6))
    assert replayed.at(patience)[0].item() == patience + 1


def test_samples_are_counted_apart(exits_predicting):
    replayed = replay(Patience(), exits_predicting([[0, 1], [0, 0], [1, 0]]))
    assert replayed.scores.tolist() == [[0, 0], [1, 0], [0, 1]]
