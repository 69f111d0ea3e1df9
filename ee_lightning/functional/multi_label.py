r"""Several labels a sample, none of which rules out another.

A label is a decision between two classes, absent and there, with the logits 0 and z: their softmax is
:math:`1 - \sigma(z)` and :math:`\sigma(z)`, and their cross entropy the binary one. So whatever is defined for two
classes serves labels too, with the decisions on all labels of all samples in place of the samples. Means over samples
become means over samples and labels.
"""

import torch
from torch import Tensor

from ee_lightning.functional.targets import soft_targets


def absent_or_there(logits: Tensor) -> Tensor:
    """Give the logits of the two classes that each label decides between.

    Args:
        logits: Logits of labels, of shape [..., labels].

    Returns:
        Logits of its being absent, which are 0, and of its being there, of shape [..., labels, 2].

    Example:
        >>> absent_or_there(torch.tensor([0.0, 2.0])).softmax(-1)
        tensor([[0.5000, 0.5000],
                [0.1192, 0.8808]])
    """
    return torch.stack([torch.zeros_like(logits), logits], dim=-1)  # [..., labels, 2]


def label_decisions(logits: Tensor) -> Tensor:
    """Lay out exits' logits so that every label of every sample is a sample of two classes.

    Args:
        logits: Logits of all exits, of shape [exits, batch, labels].

    Returns:
        Of shape [exits, batch * labels, 2].

    Example:
        >>> label_decisions(torch.tensor([[[1.0, -2.0]]]))
        tensor([[[ 0.,  1.],
                 [ 0., -2.]]])
    """
    return absent_or_there(logits).flatten(1, 2)  # [exits, batch * labels, 2]


def label_decision_targets(labels: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    r"""Give the shares of the two classes in every label's cross entropy, weighted and smoothed like `soft_targets`.

    Args:
        labels: 1 where a label is there and 0 elsewhere, of shape [batch, labels].
        smoothing: ε, in [0, 1).
        weights: How much each label's being absent and its being there count, of shape [labels, 2]; None for ones.

    Returns:
        The shares, of shape [batch * labels, 2], to go with `label_decisions`.

    Example:
        >>> label_decision_targets(torch.tensor([[1, 0]]), weights=torch.tensor([[1.0, 3.0], [1.0, 5.0]]))
        tensor([[0., 3.],
                [1., 0.]])
    """
    targets = soft_targets(labels.flatten(), 2, smoothing)  # [batch * labels, 2]
    if weights is None:
        return targets
    chosen = weights.expand(len(labels), -1, -1).gather(-1, labels.unsqueeze(-1))  # [batch, labels, 1]
    return targets * chosen.flatten(0, 1)  # [batch * labels, 2]
