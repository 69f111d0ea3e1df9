"""Parameters of criteria that are fitted: temperatures and weights of geometric means.

They are fitted in float64 to what all exits say, of shape [exits, samples, classes], and class numbers [samples].
"""

import math

import torch
from torch import Tensor

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of a temperature. Where one is reached, no finite temperature above 0 is the most likely."""

HALVINGS = 40
MOST_STEPS = 100
TOLERANCE = 1e-12


def fit_temperatures(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Fit one temperature per exit on held-out data (`Guo et al. 2017 <https://arxiv.org/abs/1706.04599>`_), [exits].

    The temperature :math:`T_m` of exit m minimises the mean over samples n with labels y of
    :math:`-\ln \mathrm{softmax}(z_{m,n} / T_m)(y_n)`. That is convex in :math:`\beta = 1 / T_m`, so its slope rises
    with :math:`\beta`, and halving an interval of :math:`\ln \beta` finds the zero for all exits at once.

    - An exit that is right on every sample is likelier the lower its temperature: it gets the lower bound, 0.05.
    - An exit that knows less than nothing is likelier the higher its temperature: it gets the upper bound, 20.
    - An exit for whose likelihood the temperature makes no difference, because its logits are all equal, gets 1.

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]])
        >>> temperature = fit_temperatures(logits, torch.tensor([0, 0, 0, 1]))  # right in three of four
        >>> (logits[0, 0] / temperature).softmax(-1)
        tensor([0.7500, 0.2500], dtype=torch.float64)
    """
    logits = logits.double()
    of_label = logits.gather(-1, labels.expand(len(logits), -1).unsqueeze(-1))  # [exits, samples, 1]
    ahead = (logits - of_label).transpose(1, 2).contiguous()  # [exits, classes, samples]
    low, high = (ahead.new_full((len(ahead),), -math.log(bound)) for bound in (HIGHEST, LOWEST))  # [exits] each
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_beyond = _slope(ahead, middle.exp()) > 0
        low, high = torch.where(is_beyond, low, middle), torch.where(is_beyond, middle, high)
    temperature = (-(low + high) / 2).exp()
    return torch.where((ahead == 0).all(1).all(1), 1.0, temperature)


def _slope(ahead: Tensor, beta: Tensor) -> Tensor:
    """Return the slope along 1/T of the summed negative log-likelihood, of shape [exits]."""
    probabilities = (ahead * beta.view(-1, 1, 1)).softmax(1)  # [exits, classes, samples]
    return (probabilities * ahead).sum((1, 2))


def fit_geometric_means(log_probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    r"""Fit, for every exit, the weights of the exits up to it in a geometric mean (`Wołczyk et al. 2021`_).

    The mean after exit m is :math:`q_m(c) \propto \exp(b_m(c) + \sum_{j \le m} w_{m,j} \ln p_j(c))`, with
    :math:`p_j(c)` the probability of class c by exit j. Its weights and biases minimise

    .. math:: \sum_n -\ln q_{m,n}(y_n) + \tfrac12 \sum_{j \le m} (w_{m,j} - 1/m)^2 + \tfrac12 \sum_c b_m(c)^2

    over the samples n of held-out data with labels y. The last two terms are a normal prior of unit variance around the
    plain geometric mean: among many samples they don't matter, but they make the solution the only one, also where the
    exits make no mistake or repeat each other. The problem is convex; Newton's method solves it. `log_probabilities`
    must be finite.

    Returns:
        The weights, of shape [exits, exits] with 0 where the second exit is later than the first, and the biases, of
        shape [exits, classes].

    Example:
        >>> knows, guesses = torch.tensor([[0.9, 0.1], [0.1, 0.9]]), torch.full((2, 2), 0.5)
        >>> weights, biases = fit_geometric_means(torch.stack([guesses, knows]).log(), torch.tensor([0, 1]))
        >>> weights.round(decimals=2)
        tensor([[1.0000, 0.0000],
                [0.5000, 0.9700]], dtype=torch.float64)

    .. _Wołczyk et al. 2021: https://arxiv.org/abs/2106.05409
    """
    num_exits, _, num_classes = log_probabilities.shape
    features = log_probabilities.double().permute(2, 1, 0).contiguous()  # [classes, samples, exits]
    weights, biases = features.new_zeros(num_exits, num_exits), features.new_zeros(num_exits, num_classes)
    for m in range(1, num_exits + 1):
        plain = torch.cat([features.new_full((m,), 1 / m), features.new_zeros(num_classes)])  # [m + classes]
        solution = _minimise(features[..., :m], labels, plain)  # [m + classes]
        weights[m - 1, :m], biases[m - 1] = solution[:m], solution[m:]
    return weights, biases


def _minimise(features: Tensor, labels: Tensor, plain: Tensor) -> Tensor:
    """Take Newton steps from the plain mean, each halved until it descends; parameters are [m + classes]."""
    parameters = plain
    for _ in range(MOST_STEPS):
        loss, gradient, curvature = _derivatives(features, labels, parameters, plain)
        step = torch.linalg.solve(curvature, gradient)  # [m + classes]
        decrease = gradient @ step
        if decrease <= TOLERANCE * (1 + loss):
            break
        while _loss(features, labels, parameters - step, plain) > loss - decrease / 4:
            step, decrease = step / 2, decrease / 2
        parameters = parameters - step
    return parameters


def _logits(features: Tensor, parameters: Tensor) -> Tensor:
    num_exits = features.shape[-1]
    return features @ parameters[:num_exits] + parameters[num_exits:, None]  # [classes, samples]


def _loss(features: Tensor, labels: Tensor, parameters: Tensor, plain: Tensor) -> Tensor:
    log_mean = _logits(features, parameters).log_softmax(0)  # [classes, samples]
    return (parameters - plain).square().sum() / 2 - log_mean.gather(0, labels.unsqueeze(0)).sum()


def _derivatives(features: Tensor, labels: Tensor, parameters: Tensor, plain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, its gradient [m + classes] and its second derivatives [m + classes, m + classes].

    By hand: `torch.func.hessian` takes 100 times as long for 150 classes, and autograd serves no tensors of inference.
    """
    mean = _logits(features, parameters).softmax(0)  # [classes, samples]
    excess = mean.scatter_add(0, labels.unsqueeze(0), -torch.ones_like(mean[:1]))  # [classes, samples]
    weighted = features * mean.unsqueeze(-1)  # [classes, samples, m]
    expected = weighted.sum(0)  # [samples, m]
    gradient = torch.cat([torch.einsum("cnj,cn->j", features, excess), excess.sum(1)]) + parameters - plain
    of_weights = weighted.flatten(0, 1).T @ features.flatten(0, 1) - expected.T @ expected  # [m, m]
    between = weighted.sum(1).T - expected.T @ mean.T  # [m, classes]
    of_biases = mean.sum(1).diag() - mean @ mean.T  # [classes, classes]
    of_data = torch.cat([torch.cat([of_weights, between], dim=1), torch.cat([between.T, of_biases], dim=1)])
    return _loss(features, labels, parameters, plain), gradient, of_data + torch.ones_like(parameters).diag()
