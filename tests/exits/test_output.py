import math

import pytest
import torch

from ee_lightning.exits import ExitOutput
from ee_lightning.functional import Kind


def test_predictions_are_the_first_of_the_most_likely_classes():
    assert ExitOutput(1, 1, torch.tensor([[0.0, 5.0, 5.0], [1.0, 1.0, 1.0]])).predictions.tolist() == [1, 0]


def test_one_column_is_a_value():
    output = ExitOutput(1, 1, torch.tensor([[2.5], [-1.0]], dtype=torch.bfloat16), kind=Kind.REGRESSION)
    assert output.predictions.dtype == torch.float32
    assert output.predictions.tolist() == [2.5, -1.0]


def test_probabilities_and_their_logarithms_are_those_of_the_classes():
    output = ExitOutput(1, 1, torch.tensor([[0.0, math.log(3)], [math.log(9), 0.0]]))
    expected = torch.tensor([[0.25, 0.75], [0.9, 0.1]])
    torch.testing.assert_close(output.probabilities, expected)
    torch.testing.assert_close(output.log_probabilities, expected.log())


@pytest.mark.parametrize("size", [1e3, 1e30, torch.finfo(torch.float32).max])
def test_logarithms_are_finite_and_vanish_beside_no_probability(size):
    output = ExitOutput(1, 1, torch.tensor([[size, -size]]))
    assert output.log_probabilities.isfinite().all()
    assert output.log_probabilities[0, 1] <= -2e3
    assert (output.probabilities * output.log_probabilities).tolist() == [[0, 0]]
