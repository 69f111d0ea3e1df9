import pytest
import torch

from ee_lightning.functional import scale_gradient


@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0, 3.0])
def test_values_stay_and_the_gradient_is_scaled(factor):
    tensor = torch.randn(3, 4, requires_grad=True)
    scaled = scale_gradient(tensor, factor)
    assert torch.equal(scaled, tensor)
    weights = torch.randn(3, 4)
    (scaled * weights).sum().backward()
    assert torch.equal(tensor.grad, weights * factor)
