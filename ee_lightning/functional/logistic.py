"""Logistic regression, which gates on stored logits are fitted by."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PRIOR = 10.0
"""The standard deviation of a weight, before any sample is seen."""
MOST_STEPS = 100
TOLERANCE = 1e-10


def fit_logistic(features: Floats, targets: Floats) -> Floats:
    r"""Fit the weights and, last, the bias of a logistic regression on held-out samples.

    They minimise :math:`-\sum_n \ln \mathrm{Bernoulli}(t_n; \sigma(w \cdot x_n + b)) + \tfrac12 |w, b|^2 / 10^2`, a
    convex problem with one solution, also where the targets are all alike; Newton's method solves it.

    Args:
        features: The x, of shape [samples, features].
        targets: The t, 0 or 1, of shape [samples].

    Returns:
        Of shape [features + 1].

    Example:
        >>> inputs, targets = np.array([[0.0]] * 4 + [[1.0]] * 4), np.array([1.0, 0, 0, 0, 1, 1, 1, 0])
        >>> weight, bias = fit_logistic(inputs, targets)
        >>> (1 / (1 + np.exp(-np.array([bias, bias + weight])))).round(2)  # about one of four, and three
        array([0.26, 0.74])
    """
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1)  # [samples, features + 1]
    parameters = np.zeros(inputs.shape[1])
    loss = _loss(inputs, targets, parameters)
    for _ in range(MOST_STEPS):
        likely = 1 / (1 + np.exp(-inputs @ parameters))  # [samples]
        gradient = inputs.T @ (likely - targets) + parameters / PRIOR**2
        curvature = (inputs.T * (likely * (1 - likely))) @ inputs + np.eye(len(parameters)) / PRIOR**2
        step = np.linalg.solve(curvature, gradient)
        decrease = gradient @ step
        if decrease <= TOLERANCE * (1 + loss):
            break
        while (found := _loss(inputs, targets, parameters - step)) > loss - decrease / 4:
            step, decrease = step / 2, decrease / 2
        parameters, loss = parameters - step, found
    return parameters


def _loss(inputs: Floats, targets: Floats, parameters: Floats) -> float:
    logits = inputs @ parameters
    return float((np.logaddexp(0, logits) - targets * logits).sum() + parameters @ parameters / (2 * PRIOR**2))
