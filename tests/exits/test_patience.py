import math

import pytest
import torch
from factories import exits_predicting, random_exits, stored

from ee_lightning.errors import OptionError
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
def test_agreements_are_counted_since_the_last_change(predictions, agreements):
    replayed = replay(Patience(), exits_predicting([[prediction] for prediction in predictions]))
    assert replayed.scores.squeeze(-1).tolist() == agreements
    assert replayed.labels.squeeze(-1).tolist() == predictions
    assert replayed.fallback.item() == predictions[-1]


@pytest.mark.parametrize("patience", range(6))
def test_exits_that_all_agree_let_leave_one_exit_after_the_patience(patience):
    replayed = replay(Patience(), exits_predicting([[1]] * 6))
    assert replayed.at(patience)[0].item() == patience + 1


def test_samples_are_counted_apart():
    replayed = replay(Patience(), exits_predicting([[0, 1], [0, 0], [1, 0]]))
    assert replayed.scores.tolist() == [[0, 0], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("values", "agreements"),
    [
        ([3.0], [0]),
        ([3.0, 3.25, 3.5, 3.75], [0, 1, 2, 3]),
        ([3.0, 3.5, 4.0], [0, 0, 0]),  # a difference of the tolerance itself is too much
        ([3.0, 2.75, 4.0, 4.0, 3.75], [0, 1, 0, 1, 2]),
    ],
)
def test_values_agree_where_they_differ_by_less_than_the_tolerance(values, agreements):
    exits = stored(torch.tensor(values).view(-1, 1, 1), torch.tensor([3.0]))
    replayed = replay(Patience(tolerance=0.5), exits)
    assert replayed.scores.squeeze(-1).tolist() == agreements
    assert replayed.labels.squeeze(-1).tolist() == values
    assert replayed.fallback.tolist() == values[-1:]


@pytest.mark.parametrize(("tolerance", "num_classes"), [(None, 1), (0.5, 2)])
def test_a_tolerance_belongs_to_regression_alone(tolerance, num_classes):
    with pytest.raises(OptionError, match="needs a tolerance for regression, and takes none for classification"):
        replay(Patience(tolerance), random_exits(2, 3, num_classes))


@pytest.mark.parametrize("tolerance", [0.0, -1.0, math.nan, math.inf])
def test_a_tolerance_without_sense_is_refused(tolerance):
    with pytest.raises(OptionError, match="tolerance="):
        Patience(tolerance)


def test_name_tells_the_tolerance():
    assert (Patience().name, Patience(tolerance=0.5).name) == ("patience", "patience(tolerance=0.5)")
