"""Leave when the distribution over the classes is sharp enough."""

import torch

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State


class Entropy(Criterion):
    r"""Entropy of the prediction, from BranchyNet (Teerapittayanon et al. 2016) and DeeBERT (Xin et al. 2020).

    After exit m the score is :math:`-H(p_m) = \sum_c p_m(c) \ln p_m(c)`, with :math:`p_m` the softmax of exit m's
    logits over the C classes c; the label is the most likely class. The threshold is a negative entropy in nats: at
    :math:`\tau` a sample leaves once :math:`H(p_m) \le -\tau`. Scores lie between :math:`-\ln C` and 0.
    """

    name = "entropy"

    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """See `Criterion.step`."""
        probabilities = output.logits.softmax(-1, dtype=torch.float32)  # [batch, classes]
        log_probabilities = output.logits.log_softmax(-1, dtype=torch.float32)  # [batch, classes]
        finite = log_probabilities.clamp_min(torch.finfo(torch.float32).min)
        return Decision((probabilities * finite).sum(-1), output.predictions), state
