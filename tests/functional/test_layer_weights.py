import pytest
import torch

from ee_lightning.functional import accuracy_term, equal_weights, exit_losses, linear_weights


@pytest.mark.parametrize("num_exits", [1, 2, 12])
def test_weights_are_those_of_the_paper(num_exits):
    assert equal_weights(num_exits).tolist() == [1.0] * num_exits
    assert linear_weights(num_exits).tolist() == [float(m) for m in range(1, num_exits + 1)]


def test_linear_weights_favour_late_exits_in_the_accuracy_term():
    logits, labels = torch.randn(3, 4, 2), torch.tensor([0, 1, 1, 0])
    first, second, third = exit_losses(logits, labels)
    torch.testing.assert_close(accuracy_term(logits, labels, linear_weights(3)), first + 2 * second + 3 * third)
