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
