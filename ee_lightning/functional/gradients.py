"""Gradients that are scaled on their way back."""

from typing import Any

import torch
from torch import Tensor


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def scale_gradient(tensor: Tensor, factor: float) -> Tensor:
    """Give the same tensor, whose gradient is multiplied by a factor on its way back.

    Args:
        tensor: Of any shape.
        factor: Any number.

    Returns:
        The same values, of the same shape.

    Example:
        >>> number = torch.tensor(3.0, requires_grad=True)
        >>> scale_gradient(number, 0.5).square().backward()
        >>> number.grad
        tensor(3.)
    """
    scaled: Tensor = _ScaleGradient.apply(tensor, factor)  # type: ignore[no-untyped-call]
    return scaled
