"""Regression metrics from moments that add up over samples, so that they can be carried along a curve.

The moments of the predictions are three sums: of the values predicted, of their squares, and of their products with the
true values. Those of the true values are the same at every point of a curve and are passed apart, as `actual`.

Spearman's correlation is not among the metrics: ranks change with every other sample, so it does not add up. Nor is the
mean squared error, because a curve's scores are the better the higher.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

ROUNDING = 1e-12


def regression_moments(predictions: Tensor, labels: Tensor) -> Tensor:
    """Give one sample's moments at a time; the sum over samples is what the metrics take.

    Shift each beforehand by a constant amid its values: the metrics don't mind, and the sums stay exact.

    Args:
        predictions: Predicted values, of shape [...].
        labels: True values, of shape [...].

    Returns:
        The predicted value, its square and its product with the true value, in float64, of shape [..., 3].

    Example:
        >>> regression_moments(torch.tensor([2.0, 1.0]), torch.tensor([3.0, 0.0]))
        tensor([[2., 4., 6.],
                [1., 1., 0.]], dtype=torch.float64)
    """
    predicted = predictions.double()
    return torch.stack([predicted, predicted.square(), predicted * labels.double()], dim=-1)  # [..., 3]


def label_moments(labels: Tensor) -> Tensor:
    """Give the number of labels, their sum and that of their squares.

    Args:
        labels: True values, of shape [samples].

    Returns:
        The three, in float64, of shape [3].
    """
    values = labels.double()
    return torch.stack([torch.ones_like(values), values, values.square()]).sum(-1)  # [3]


def pearson(moments: Tensor, actual: Tensor) -> Tensor:
    r"""Give Pearson's correlation of predicted and true values.

    .. math:: r = \frac{s_{\hat y y} - s_{\hat y} s_y / n}
        {\sqrt{(s_{\hat y \hat y} - s_{\hat y}^2 / n)(s_{yy} - s_y^2 / n)}}

    with n samples and the sums s of the values predicted :math:`\hat y` and true y, their squares and products. Where
    all values predicted or all true ones are equal, there is no correlation to speak of and the value is 0; as is a
    variance within the rounding of its sums.

    Args:
        moments: Summed moments of the predictions, of shape [..., 3].
        actual: What `label_moments` gives, of shape [3].

    Returns:
        Correlations between -1 and 1 in float64, of shape [...].

    Example:
        >>> predicted, true = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 3.0, 2.0])
        >>> pearson(regression_moments(predicted, true).sum(0), label_moments(true))
        tensor(0.3273, dtype=torch.float64)
    """
    predicted, predicted_squares, products = moments.unbind(-1)  # [...] each
    samples, true, true_squares = actual.unbind(-1)
    covariance = products - predicted * true / samples  # [...]
    predicted_variance = predicted_squares - predicted.square() / samples  # [...]
    true_variance = true_squares - true.square() / samples
    is_constant = (predicted_variance <= ROUNDING * predicted_squares) | (true_variance <= ROUNDING * true_squares)
    correlation = covariance / (predicted_variance * true_variance).sqrt()  # [...]; NaN or infinite where constant
    return torch.where(is_constant, 0.0, correlation.clamp(-1, 1))


REGRESSION_METRICS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"pearson": pearson}
