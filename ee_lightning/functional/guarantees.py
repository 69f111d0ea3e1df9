r"""Thresholds whose true risk is bounded, with a guarantee that holds for finite samples: Learn then Test.

`Angelopoulos et al. 2021`_, Theorem 1: let every threshold have a p-value for the null hypothesis that its risk, the
expected loss of a new sample, exceeds :math:`\alpha`. If a procedure rejects a true null with probability at most
:math:`\delta`, then with probability at least :math:`1 - \delta` over the draw of the calibration samples all the
thresholds it rejects have a risk of at most :math:`\alpha`, whichever of them is then chosen and however. The samples
must be independent and alike; nothing is assumed of their distribution, nor that the risk is monotone in the threshold.

The procedure here is fixed-sequence testing: thresholds are tested each at level :math:`\delta` in an order that does
not depend on the data, from the one believed safest, until the first that is not rejected. The order is that of *all*
real numbers, downwards or upwards. Between two neighbouring operating points of the calibration samples no outcome
changes, hence no p-value does, so that testing the operating points one by one is testing every number. That the
thresholds tested are scores of the very samples they are tested on therefore costs nothing, and no sample has to be
set aside to propose them.

Why a continuum is no harm, for the downward order: let N be the thresholds whose null is true and s their supremum. All
rejected thresholds lie above the first that fails. If s is in N, rejecting any of N takes rejecting s, which has
probability at most :math:`\delta`. If not, take :math:`t_n` in N rising to s: rejecting any of N takes rejecting all
numbers down to some :math:`t_n`; these events grow with n, each has probability at most :math:`\delta`, so their union
has too.

p-values are in float64, of the shape of what they test. A `risk` that is no probability is a ValueError.

.. _Angelopoulos et al. 2021: https://arxiv.org/abs/2110.01052
"""

import math

import torch
from torch import Tensor


def binomial_p_values(failures: Tensor, samples: int, risk: float) -> Tensor:
    r"""Test "the risk exceeds `risk`" for losses of 0 or 1: :math:`P(\mathrm{Bin}(n, \alpha) \le k)`, which is exact.

    `failures` is the number k of the n samples with loss 1, of shape [...], and `risk` the bound :math:`\alpha`.

    Example:
        >>> binomial_p_values(torch.tensor([0, 1, 2]), samples=2, risk=0.5)
        tensor([0.2500, 0.7500, 1.0000], dtype=torch.float64)
    """
    return _binomial_tail(samples, risk)[failures]


def hoeffding_bentkus_p_values(total: Tensor, samples: int, risk: float) -> Tensor:
    r"""Test "the risk exceeds `risk`" for losses anywhere in [0, 1] (Hoeffding-Bentkus, `Bates et al. 2021`_).

    .. math:: p = \min\left(e^{-n\,h(\min(\hat{R}, \alpha), \alpha)},\;
        e\,P(\mathrm{Bin}(n, \alpha) \le \lceil n \hat{R} \rceil)\right), \qquad
        h(a, b) = a \ln\frac{a}{b} + (1 - a) \ln\frac{1 - a}{1 - b}

    with n samples of mean loss :math:`\hat{R}`; `total` is the sum :math:`n \hat{R}` of the losses, of shape [...].

    Example:
        >>> hoeffding_bentkus_p_values(torch.tensor([0.0, 20.0, 60.0]), samples=100, risk=0.5)
        tensor([7.8886e-31, 1.5167e-09, 1.0000e+00], dtype=torch.float64)

    .. _Bates et al. 2021: https://arxiv.org/abs/2101.02703
    """
    tail = _binomial_tail(samples, risk)  # [samples + 1]
    total = total.double()
    mean = (total / samples).clamp_max(risk)  # [...]
    divergence = mean.xlogy(mean) - mean.xlogy(risk) + (1 - mean).xlogy(1 - mean) - (1 - mean).xlogy(1 - risk)
    hoeffding = (-samples * divergence).exp()  # [...]
    bentkus = math.e * tail[total.ceil().long()]  # [...]
    return torch.minimum(hoeffding, bentkus).clamp_max(1)


def betting_p_values(losses: Tensor, risk: float, error: float) -> Tensor:
    r"""Test "the risk exceeds `risk`" for losses between -1 and 1, by betting (`Waudby-Smith & Ramdas 2024`_).

    Who bets on low losses, with a stake from the losses before, does not gain on average if the risk is
    :math:`\alpha` or more; by Ville's inequality the wealth then exceeds 1 / p with probability p at most:

    .. math:: p = 1 / \max_i \prod_{j \le i} (1 + \lambda_j (\alpha - L_j)), \qquad
        \lambda_j = \min\left(\sqrt{\frac{2 \ln(1 / \delta)}{n \hat\sigma^2_{j-1}}}, \frac{c}{1 - \alpha}\right)

    with the variance of the losses before, to which one of 1 about 0 is added, and c just below 1. The losses of a test
    must be in an order that does not depend on them. Losses in favour count, where the tests of spoilt samples leave
    them out.

    Args:
        losses: Of shape [..., samples].
        risk: The bound :math:`\alpha`, above -1 and below 1.
        error: The level :math:`\delta` that the stakes are made for; the test is valid at any.

    Returns:
        Of shape [...].

    Example:
        >>> betting_p_values(torch.tensor([[0.0] * 300, [-1.0, 0.0, 1.0] * 100]), risk=0.05, error=0.05)
        tensor([5.8429e-07, 8.6307e-01], dtype=torch.float64)

    .. _Waudby-Smith & Ramdas 2024: https://arxiv.org/abs/2010.09686
    """
    if not -1 < risk < 1:
        raise ValueError(f"Expected argument `risk` to be between -1 and 1, but got {risk}.")
    losses, samples = losses.double(), losses.shape[-1]
    seen = torch.arange(2, samples + 2, dtype=torch.float64, device=losses.device)  # [samples], and one more
    mean = losses.cumsum(-1) / seen  # [..., samples]
    variance = (1 + (losses - mean).square().cumsum(-1)) / seen  # [..., samples]
    before = torch.cat([torch.ones_like(variance[..., :1]), variance[..., :-1]], dim=-1)
    stakes = (2 * math.log(1 / error) / (samples * before)).sqrt().clamp_max(_MOST_AT_STAKE / (1 - risk))
    wealth = torch.log1p(stakes * (risk - losses)).cumsum(-1)  # [..., samples], its logarithm
    return (-wealth.amax(-1)).exp().clamp_max(1)


_MOST_AT_STAKE = 0.99


def kept_in_expectation(total: Tensor, samples: int, risk: float) -> Tensor:
    r"""Return where the mean loss of a new sample is `risk` at most, in expectation over the samples too, in bool.

    Conformal risk control (`Angelopoulos et al. 2024`_): :math:`(n \hat{R} + 1) / (n + 1) \le \alpha` for losses of at
    most 1 that only grow from each threshold to the next. `total` is the sum :math:`n \hat{R}`, of shape [...].

    Example:
        >>> kept_in_expectation(torch.tensor([0.0, 4.0, 5.0]), samples=99, risk=0.05)
        tensor([ True,  True, False])

    .. _Angelopoulos et al. 2024: https://arxiv.org/abs/2208.02814
    """
    return total.double() + 1 <= risk * (samples + 1)


def fixed_sequence(p_values: Tensor, error: float) -> Tensor:
    """Reject null hypotheses [tests] in their order, until the first that cannot be rejected; return which, in bool.

    The order must not depend on the data. A true null is rejected with probability `error` at most.

    Example:
        >>> fixed_sequence(torch.tensor([0.01, 0.04, 0.06, 0.01]), error=0.05)
        tensor([ True,  True, False, False])
    """
    return (p_values <= error).long().cummin(0).values.bool()


def _binomial_tail(samples: int, probability: float) -> Tensor:
    """Return the probabilities of at most 0, 1, ..., n successes, of shape [samples + 1]."""
    if not 0 <= probability <= 1:
        raise ValueError(f"Expected argument `risk` to be between 0 and 1, but got {probability}.")
    successes = torch.arange(samples + 1, dtype=torch.float64)  # [samples + 1]
    failures = samples - successes
    log_choices = torch.lgamma(successes.new_tensor(samples + 1)) - (successes + 1).lgamma() - (failures + 1).lgamma()
    log_mass = log_choices + successes.xlogy(probability) + failures.xlogy(1 - probability)
    tail = log_mass.logcumsumexp(0).exp().clamp_max(1)
    tail[-1] = 1  # what rounding left of it
    return tail
